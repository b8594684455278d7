//! Each state of a platform, and what its conditions say.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use todo_crds::platform::TodoPlatformStatus;

use super::{
    super::{assess, verdict::merge},
    *,
};
use crate::{
    apply::{Applied, Dispute, Failure},
    dereference::{MissingSecret, cluster::Cluster},
    names::App,
    observe::{ComponentObserved, Infrastructure, Part, Rollout, ServiceObserved},
    plan::{Foreign, Held, Key, ownership::FieldConflict},
    resolve::{Maker, SecretKey},
};

fn done(pods: i32) -> Rollout {
    Rollout { desired: pods, ready: pods, state: State::Done }
}

/// A platform that works.
fn working() -> Observed {
    let part = |name| (name, Part { rollout: done(1), operator: None });
    Observed {
        missing_secrets: Vec::new(),
        secrets_unreadable: None,
        cluster: Cluster {
            served: ["Component", "Configuration", "Resiliency"].map(str::to_owned).into(),
            injector: Injector::Ready { version: Some("1.16.14".to_owned()), drops_capabilities: true },
        },
        infrastructure: Infrastructure {
            parts: [part("kafka"), part("postgres")].into(),
            missing: Vec::new(),
            topics: Topics::Present,
            external_kafka: false,
        },
        components: vec![ComponentObserved {
            name: "kafka-pubsub".to_owned(),
            type_: "pubsub.kafka".to_owned(),
            version: "v1".to_owned(),
            loaded_by: 4,
            expected: 4,
            message: None,
            starting: false,
        }],
        services: App::ALL
            .map(|app| ServiceObserved {
                app,
                image: "image".to_owned(),
                rollout: done(1),
                sidecars: 1,
                without_sidecar: Vec::new(),
            })
            .to_vec(),
        data_path: DataPath::Verified { age_seconds: 2.0, latency_ms: 30.0 },
        applied: Applied::default(),
        disputes: Vec::new(),
        unauthenticated: false,
        url: "http://frontend-service.ns.svc".to_owned(),
    }
}

fn of_platform(change: impl FnOnce(&mut Observed)) -> Vec<Verdict> {
    let mut observed = working();
    change(&mut observed);
    of(&Assessment::Observed(Box::new(observed)))
}

fn find(verdicts: &[Verdict], type_: &str) -> (Option<bool>, String, String) {
    let verdict = verdicts.iter().find(|verdict| verdict.type_ == type_).unwrap();
    (verdict.status, verdict.reason.clone(), verdict.message.clone())
}

fn key(kind: &str, name: &str) -> Key {
    Key { kind: kind.to_owned(), name: name.to_owned() }
}

fn missing(exists: bool) -> MissingSecret {
    let secret = SecretKey {
        name: "kafka-password".to_owned(),
        key: "password".to_owned(),
        used_by: BTreeSet::from(["kafka-pubsub".to_owned()]),
        maker: Maker::User,
    };
    MissingSecret { secret, exists }
}

#[test]
fn a_platform_that_works_has_every_condition_and_nothing_abnormal() {
    let verdicts = of_platform(|_| {});
    let types: Vec<_> = verdicts.iter().map(|verdict| verdict.type_).collect();
    assert_eq!(types, condition::ALL);
    for verdict in &verdicts {
        let abnormal = [condition::PROGRESSING, condition::DEGRADED].contains(&verdict.type_);
        assert_eq!(verdict.status, Some(!abnormal), "{verdict:?}");
    }
}

#[test]
fn ready_says_loudly_that_user_ids_are_believed() {
    let (status, _, message) = find(&of_platform(|observed| observed.unauthenticated = true), condition::READY);
    assert!(status == Some(true) && message.contains("AUTHENTICATION IS OFF"), "{message}");
}

/// What is wrong, the condition that says so, its reason, and words that it has.
type Case = (fn(&mut Observed), &'static str, &'static str, &'static [&'static str]);

#[test]
fn what_is_wrong_is_named_and_makes_the_platform_not_ready() {
    let cases: [Case; 10] = [
        (
            |o| o.cluster.injector = Injector::NotReady,
            condition::DAPR_READY,
            "InjectorNotReady",
            &["dapr-sidecar-injector", "without a sidecar"],
        ),
        (
            |o| {
                o.infrastructure.parts.get_mut("kafka").unwrap().rollout = Rollout {
                    desired: 1,
                    ready: 0,
                    state: State::Stuck {
                        reason: "CrashLoopBackOff".to_owned(),
                        message: "pod kafka-0 ended".to_owned(),
                    },
                };
            },
            condition::INFRASTRUCTURE_READY,
            "CrashLoopBackOff",
            &["kafka: pod kafka-0 ended"],
        ),
        (
            |o| o.infrastructure.topics = Topics::Missing(vec!["reminders".to_owned(), "task-events".to_owned()]),
            condition::INFRASTRUCTURE_READY,
            "TopicsMissing",
            &["no topic reminders and task-events"],
        ),
        (
            |o| {
                o.infrastructure.topics = Topics::Unreachable("connection refused".to_owned());
                o.data_path = DataPath::Broken { reason: "NotPublished".to_owned(), message: "x".to_owned() };
            },
            condition::INFRASTRUCTURE_READY,
            "KafkaUnreachable",
            &["connection refused"],
        ),
        (
            |o| {
                o.data_path = DataPath::Broken { reason: "DatabaseInUse".to_owned(), message: "of ns/other".to_owned() }
            },
            condition::INFRASTRUCTURE_READY,
            "DatabaseInUse",
            &["ns/other"],
        ),
        (
            |o| {
                o.components[0].loaded_by = 3;
                o.components[0].message = Some("pod backend-1: its sidecar ended: no broker".to_owned());
            },
            condition::COMPONENTS_READY,
            "NotLoaded",
            &["component kafka-pubsub", "pod backend-1", "no broker"],
        ),
        (
            |o| o.services[0].without_sidecar = vec!["backend-1".to_owned()],
            condition::SERVICES_READY,
            "SidecarMissing",
            &["backend-service: backend-1 has no sidecar"],
        ),
        (
            |o| {
                let message = "pod backend-1 container backend: ImagePullBackOff: not found".to_owned();
                let state = State::Stuck { reason: "ImagePullBackOff".to_owned(), message };
                o.services[0].rollout = Rollout { desired: 2, ready: 1, state };
            },
            condition::SERVICES_READY,
            "ImagePullBackOff",
            &["backend-service", "backend-1"],
        ),
        (
            |o| {
                let message = "somebody else made it".to_owned();
                let key = key("Service", "backend-service");
                o.applied.foreign = vec![Foreign { key, wave: crate::build::Wave::Workload, message }];
            },
            condition::SERVICES_READY,
            "ForeignObject",
            &["Service/backend-service", "somebody else made it"],
        ),
        (
            |o| {
                o.data_path = DataPath::Broken { reason: "Stale".to_owned(), message: "pod backend-1: 14 s".to_owned() }
            },
            condition::DATA_PATH_VERIFIED,
            "Stale",
            &["backend-1"],
        ),
    ];
    for (change, type_, reason, words) in cases {
        let verdicts = of_platform(change);
        let (status, found, message) = find(&verdicts, type_);
        assert_eq!((status, found.as_str()), (Some(false), reason), "{message}");
        for word in words {
            assert!(message.contains(word), "{message:?} has no {word:?}");
        }
        if type_ != condition::DAPR_READY {
            assert_eq!(find(&verdicts, condition::READY), (Some(false), reason.to_owned(), message));
        }
    }
}

#[test]
fn a_secret_that_vanished_under_a_working_system_degrades_it_and_names_secret_and_key() {
    for (exists, reason, words) in
        [(false, "SecretMissing", "does not exist"), (true, "KeyMissing", "has no key password")]
    {
        let verdicts = of_platform(|observed| observed.missing_secrets = vec![missing(exists)]);
        let (status, found, message) = find(&verdicts, condition::SECRETS_READY);
        assert_eq!((status, found.as_str()), (Some(false), reason));
        assert!(message.contains("kafka-password") && message.contains("kafka-pubsub") && message.contains(words));
        assert_eq!(find(&verdicts, condition::READY).0, Some(true), "it still works");
        assert_eq!(find(&verdicts, condition::DEGRADED).0, Some(true));
    }
}

#[test]
fn the_cause_and_not_its_effect_is_why_a_platform_is_not_ready() {
    let verdicts = of_platform(|observed| {
        observed.missing_secrets = vec![missing(false)];
        observed.components[0].expected = 0;
        observed.components[0].loaded_by = 0;
        observed.data_path = DataPath::Unknown("nobody to ask".to_owned());
        let reason = "Secret kafka-password key password is missing".to_owned();
        observed.applied.held = vec![Held { key: key("Component", "kafka-pubsub"), reason }];
    });
    assert_eq!(find(&verdicts, condition::READY).1, "SecretMissing");
    assert_eq!(find(&verdicts, condition::COMPONENTS_READY).1, "Waiting");
    assert_eq!(find(&verdicts, condition::DATA_PATH_VERIFIED).0, None);
}

#[test]
fn what_will_not_come_by_itself_is_named_before_what_is_only_on_the_way() {
    let verdicts = of_platform(|observed| {
        let message = "pod backend-1 cannot be scheduled: Insufficient cpu".to_owned();
        let state = State::Stuck { reason: "Unschedulable".to_owned(), message };
        observed.services[0].rollout = Rollout { desired: 1, ready: 0, state };
        observed.components[0].loaded_by = 0;
        observed.components[0].starting = true;
        observed.data_path = DataPath::Unknown("nobody to ask".to_owned());
    });
    assert_eq!(find(&verdicts, condition::COMPONENTS_READY).1, "Starting");
    assert_eq!(find(&verdicts, condition::READY).1, "Unschedulable");
}

#[test]
fn a_stuck_rollout_while_old_pods_serve_is_degraded_and_ready() {
    let verdicts = of_platform(|observed| {
        let state = State::Stuck { reason: "ImagePullBackOff".to_owned(), message: "pod x".to_owned() };
        observed.services[1].rollout.state = state;
    });
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
    let (status, reason, message) = find(&verdicts, condition::DEGRADED);
    assert_eq!((status, reason.as_str()), (Some(true), "RolloutStuck"));
    assert!(message.contains("notification-service"), "{message}");
}

#[test]
fn a_write_that_is_refused_and_a_fight_degrade() {
    let failure =
        Failure { key: key("Role", "backend-service"), class: Class::Forbidden, message: "cannot patch".to_owned() };
    let refused = of_platform(|observed| observed.applied.failures = vec![failure]);
    assert_eq!(find(&refused, condition::DEGRADED).1, "Forbidden");
    let fight = of_platform(|observed| {
        let conflict = FieldConflict { field: ".spec.replicas".to_owned(), manager: "argocd".to_owned() };
        observed.disputes = vec![Dispute { key: key("Deployment", "backend-service"), conflict, truce: true }];
    });
    let (status, reason, message) = find(&fight, condition::DEGRADED);
    assert_eq!((status, reason.as_str()), (Some(true), "OwnershipFight"));
    assert!(message.contains("argocd takes .spec.replicas of Deployment/backend-service"), "{message}");
}

#[test]
fn without_dapr_it_says_so_and_what_to_do() {
    let verdicts = of_platform(|observed| observed.cluster = Cluster::default());
    let (status, reason, message) = find(&verdicts, condition::DAPR_READY);
    assert_eq!((status, reason.as_str()), (Some(false), "DaprNotInstalled"));
    assert!(message.contains("Install Dapr"), "{message}");
}

#[test]
fn a_setting_of_dapr_that_pod_security_does_not_admit_is_named() {
    let verdicts = of_platform(|observed| {
        observed.cluster.injector = Injector::Ready { version: None, drops_capabilities: false };
        let message = "pods \"x\" is forbidden: violates PodSecurity \"restricted\"".to_owned();
        let state = State::Stuck { reason: "FailedCreate".to_owned(), message };
        observed.services[0].rollout = Rollout { desired: 1, ready: 0, state };
    });
    for type_ in [condition::DAPR_READY, condition::SERVICES_READY] {
        assert!(find(&verdicts, type_).2.contains("sidecarDropALLCapabilities=true"));
    }
}

#[test]
fn a_broker_that_the_operator_cannot_ask_but_that_carries_events_is_good_enough() {
    let verdicts = of_platform(|observed| {
        observed.infrastructure.external_kafka = true;
        observed.infrastructure.topics = Topics::Unreachable("no route".to_owned());
    });
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
}

#[test]
fn secrets_that_cannot_be_read_do_not_stop_what_works() {
    let verdicts = of_platform(|observed| observed.secrets_unreadable = Some("cannot read Secret x".to_owned()));
    assert_eq!(find(&verdicts, condition::SECRETS_READY).0, None);
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
    let (status, reason, message) = find(&verdicts, condition::DEGRADED);
    assert_eq!((status, reason.as_str()), (Some(true), "SecretsUnreadable"));
    assert!(message.contains("cannot read Secret x"), "{message}");
}

#[test]
fn what_a_pass_that_ended_early_did_not_look_at_is_unknown() {
    let failed = Stop::Failed { reason: "TransientError".to_owned(), message: "cut off".to_owned() };
    let verdicts = of(&Assessment::Stopped(failed));
    assert_eq!(find(&verdicts, condition::READY).0, None);
    assert_eq!(find(&verdicts, condition::DATA_PATH_VERIFIED).0, None);
    assert_eq!(find(&verdicts, condition::DEGRADED).0, Some(true));
    let invalid = of(&Assessment::Stopped(Stop::Invalid("spec.x: is wrong".to_owned())));
    assert_eq!(find(&invalid, condition::READY).0, Some(false));
    assert_eq!(find(&invalid, condition::DATA_PATH_VERIFIED).0, None);
}

#[test]
fn a_spec_that_a_pass_could_not_carry_out_is_not_called_observed() {
    let unreadable = Observed { secrets_unreadable: Some("forbidden".to_owned()), ..working() };
    let failed = Stop::Failed { reason: "TransientError".to_owned(), message: "cut off".to_owned() };
    for (assessment, observed) in [
        (Assessment::Observed(Box::new(working())), Some(2)),
        (Assessment::Observed(Box::new(unreadable)), Some(1)),
        (Assessment::Stopped(failed), Some(1)),
        (Assessment::Stopped(Stop::Invalid("spec.x: is wrong".to_owned())), Some(2)),
    ] {
        let before = TodoPlatformStatus { observed_generation: Some(1), ..TodoPlatformStatus::default() };
        let after = assess(&assessment, &before, Some(2), Timestamp::UNIX_EPOCH);
        assert_eq!(after.observed_generation, observed, "{assessment:?}");
    }
}

#[test]
fn topics_that_a_suspended_platform_lacks_are_not_for_a_person_to_make() {
    let verdicts = of_platform(|o| o.infrastructure.topics = Topics::Missing(vec!["reminders".to_owned()]));
    let (_, _, message) = find(&verdicts, condition::INFRASTRUCTURE_READY);
    assert!(message.contains("spec.suspend"), "{message}");
}

#[test]
fn a_suspended_platform_says_so_and_is_still_looked_at() {
    let verdicts = of(&Assessment::Suspended(Box::new(working())));
    assert_eq!(find(&verdicts, condition::PROGRESSING).1, "Suspended");
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
}

#[test]
fn times_change_only_with_the_status_and_what_nothing_is_said_about_stays() {
    let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::now());
    let first = merge(&[], of_platform(|_| {}), Some(1), early);
    assert_eq!(merge(&first, of_platform(|_| {}), Some(1), late), first, "the same again is no change");
    let broken = of_platform(|observed| {
        observed.data_path = DataPath::Broken { reason: "Stale".to_owned(), message: "x".to_owned() };
    });
    for condition in merge(&first, broken, Some(1), late) {
        let changed = [condition::READY, condition::DATA_PATH_VERIFIED].contains(&condition.type_.as_str());
        assert_eq!(condition.last_transition_time.0, if changed { late } else { early }, "{}", condition.type_);
    }
    let stop = of(&Assessment::Stopped(Stop::Invalid("spec.x: is wrong".to_owned())));
    let after = merge(&first, stop, Some(2), late);
    let types: Vec<_> = after.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, condition::ALL);
    assert_eq!((after[0].status.as_str(), after[0].reason.as_str()), ("False", "SpecInvalid"));
    assert_eq!(after[2].observed_generation, Some(1), "nothing new is known about it");
}

#[test]
fn the_second_platform_of_a_namespace_is_told_which_one_has_it() {
    let verdicts = of(&Assessment::Stopped(Stop::Conflict { other: "first".to_owned() }));
    let (status, reason, message) = find(&verdicts, condition::READY);
    assert_eq!((status, reason.as_str(), verdicts.len()), (Some(false), "Conflict", 1));
    assert!(message.contains("TodoPlatform first"), "{message}");
}

#[test]
fn topics_with_other_partitions_than_the_spec_says_are_told_and_stop_nothing() {
    let differing = Topics::Differing(vec![("reminders".to_owned(), 1)]);
    let verdicts = of_platform(|observed| observed.infrastructure.topics = differing);
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
    let (status, reason, message) = find(&verdicts, condition::DEGRADED);
    assert_eq!((status, reason.as_str()), (Some(true), "PartitionsDiffer"));
    assert!(message.contains("reminders has 1"), "{message}");
}

/// A platform whose Kafka Strimzi runs, in this state.
fn with_strimzi(observed: &mut Observed, rollout: Rollout) {
    let part = Part { rollout, operator: Some("Strimzi") };
    observed.infrastructure.parts.insert("kafka", part);
}

fn not_ready(state: State) -> Rollout {
    Rollout { desired: 1, ready: 0, state }
}

#[test]
fn an_operator_that_is_not_installed_is_named_with_its_kinds_and_what_to_do() {
    let verdicts = of_platform(|observed| {
        with_strimzi(observed, not_ready(State::Absent));
        observed.infrastructure.missing = vec![crate::observe::managed::STRIMZI];
        observed.data_path = DataPath::Unknown("no backend".to_owned());
        let mut waits = missing(false);
        waits.secret.maker = Maker::Other("Strimzi");
        observed.missing_secrets = vec![waits];
    });
    let (status, reason, message) = find(&verdicts, condition::INFRASTRUCTURE_READY);
    assert_eq!((status, reason.as_str()), (Some(false), "StrimziMissing"));
    assert!(message.contains("no Kafka, KafkaNodePool, KafkaTopic and KafkaUser of kafka.strimzi.io/v1"), "{message}");
    assert!(message.contains("Install Strimzi 0.49 or later"), "{message}");
    // What waits for it is not the cause.
    let (status, reason, message) = find(&verdicts, condition::SECRETS_READY);
    assert_eq!((status, reason.as_str()), (Some(false), "Waiting"));
    assert!(message.contains("is not there yet, Strimzi makes it"), "{message}");
    assert_eq!(find(&verdicts, condition::READY).1, "StrimziMissing");
    assert_eq!(find(&verdicts, condition::DEGRADED).0, Some(false));
}

#[test]
fn what_another_operator_says_is_told_and_events_that_flow_weigh_more() {
    let stuck =
        || State::Stuck { reason: "InvalidResourceException".to_owned(), message: "Kafka/kafka: no".to_owned() };
    let idle = of_platform(|observed| {
        with_strimzi(observed, not_ready(stuck()));
        observed.data_path = DataPath::Unknown("no backend".to_owned());
    });
    for type_ in [condition::INFRASTRUCTURE_READY, condition::READY] {
        let (status, reason, message) = find(&idle, type_);
        assert_eq!((status, reason.as_str()), (Some(false), "InvalidResourceException"), "{type_}");
        assert_eq!(message, "kafka: Kafka/kafka: no");
    }
    let serving = of_platform(|observed| with_strimzi(observed, not_ready(stuck())));
    assert_eq!(find(&serving, condition::READY).0, Some(true));
    let (status, _, message) = find(&serving, condition::DEGRADED);
    assert!(status == Some(true) && message.contains("Kafka/kafka: no"), "{message}");
}
