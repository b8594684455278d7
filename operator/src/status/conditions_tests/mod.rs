//! Each state of a platform, and what its conditions say.

mod abnormal;
mod managed;
mod mesh;
mod passes;

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use todo_crds::platform::TodoPlatformStatus;

use super::{
    super::{assess, verdict::merge},
    *,
};
use crate::{
    apply::{Applied, Dispute, Failure},
    build::Wave,
    dereference::{MissingSecret, cluster::Cluster},
    names::App,
    observe::{ComponentObserved, Infrastructure, Part, Rollout, ServiceObserved},
    plan::{Fate, Foreign, Held, Hold, Key, ownership::FieldConflict},
    resolve::{Account, Maker, SecretKey},
};

fn done(pods: i32) -> Rollout {
    Rollout { desired: pods, ready: pods, state: State::Done }
}

/// As whom it comes to somebody else's Kafka.
fn account() -> Account {
    Account { who: "the user in Secret access key user".to_owned(), consumer_group: "todo-service-group".to_owned() }
}

/// A platform that works.
fn working() -> Observed {
    let part = |name| (name, Part { rollout: done(1), operator: None });
    Observed {
        missing_secrets: Vec::new(),
        secrets_unreadable: None,
        cluster: Cluster {
            served: ["Component", "Configuration", "Resiliency"].map(str::to_owned).into(),
            unanswered: BTreeSet::new(),
            injector: Injector::Ready { version: Some("1.16.14".to_owned()), drops_capabilities: true },
        },
        infrastructure: Infrastructure {
            parts: [part("kafka"), part("postgres")].into(),
            missing: Vec::new(),
            topics: Topics::Present,
            account: None,
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
                needed: 1,
                wanted: 1,
                sidecars: 1,
                without_sidecar: Vec::new(),
            })
            .to_vec(),
        data_path: DataPath::Verified { age_seconds: 2.0, latency_ms: 30.0 },
        applied: Applied::default(),
        disputes: Vec::new(),
        is_planned: true,
        unauthenticated: false,
        unused_ai: false,
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

#[test]
fn ready_says_that_no_language_model_is_asked_although_there_is_access_to_one() {
    for unused_ai in [true, false] {
        let (status, _, message) = find(&of_platform(|observed| observed.unused_ai = unused_ai), condition::READY);
        assert_eq!((status, message.contains("spec.ai is not used yet")), (Some(true), unused_ai), "{message}");
    }
}

/// What is wrong, the condition that says so, its reason, and words that it has.
type Case = (fn(&mut Observed), &'static str, &'static str, &'static [&'static str]);

const WRONG: [Case; 12] = [
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
                state: State::Stuck { reason: "CrashLoopBackOff".to_owned(), message: "pod kafka-0 ended".to_owned() },
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
            o.infrastructure.topics = Topics::Missing(vec!["reminders".to_owned()]);
            o.infrastructure.account = Some(account());
        },
        condition::INFRASTRUCTURE_READY,
        "TopicsMissing",
        &["no topic reminders", "create it", "the user in Secret access key user may not see it", "Read and Write"],
    ),
    (
        |o| {
            o.infrastructure.account = Some(account());
            o.data_path = DataPath::Broken { reason: "NotConsumed".to_owned(), message: "pod x: not yet".to_owned() };
        },
        condition::DATA_PATH_VERIFIED,
        "NotConsumed",
        &["pod x: not yet; ", "consumer group todo-service-group"],
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
        |o| o.data_path = DataPath::Broken { reason: "DatabaseInUse".to_owned(), message: "of ns/other".to_owned() },
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
            (o.services[0].needed, o.services[0].rollout) = (2, Rollout { desired: 2, ready: 1, state });
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
        |o| o.data_path = DataPath::Broken { reason: "Stale".to_owned(), message: "pod backend-1: 14 s".to_owned() },
        condition::DATA_PATH_VERIFIED,
        "Stale",
        &["backend-1"],
    ),
];

#[test]
fn what_is_wrong_is_named_and_makes_the_platform_not_ready() {
    for (change, type_, reason, words) in WRONG {
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
fn the_cause_and_not_its_effect_is_why_a_platform_is_not_ready() {
    let verdicts = of_platform(|observed| {
        observed.missing_secrets = vec![missing(false)];
        observed.components[0].expected = 0;
        observed.components[0].loaded_by = 0;
        observed.data_path = DataPath::Unknown("nobody to ask".to_owned());
        let reason = "Secret kafka-password key password is missing".to_owned();
        observed.applied.held =
            vec![Held { key: key("Component", "kafka-pubsub"), wave: Wave::Dapr, hold: Hold::Turn, reason }];
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
fn without_dapr_it_says_so_and_what_to_do() {
    let verdicts = of_platform(|observed| observed.cluster.served.clear());
    let (status, reason, message) = find(&verdicts, condition::DAPR_READY);
    assert_eq!((status, reason.as_str()), (Some(false), "DaprNotInstalled"));
    assert!(message.contains("Install Dapr"), "{message}");
}

#[test]
fn what_the_cluster_has_not_answered_is_not_taken_for_absent() {
    let verdicts = of_platform(|observed| observed.cluster = Cluster::default());
    let (status, reason, message) = find(&verdicts, condition::DAPR_READY);
    assert_eq!((status, reason.as_str()), (None, "Waiting"), "{message}");
    assert_eq!(find(&verdicts, condition::READY).0, Some(true), "what works goes on");
    let verdicts = of_platform(|observed| observed.cluster.injector = Injector::Unasked);
    assert_eq!(find(&verdicts, condition::DAPR_READY).0, None);
}

#[test]
fn an_injector_that_is_not_there_is_looked_for_where_the_operator_was_told() {
    let verdicts = of_platform(|observed| observed.cluster.injector = Injector::Missing);
    let (status, reason, message) = find(&verdicts, condition::DAPR_READY);
    assert_eq!((status, reason.as_str()), (Some(false), "InjectorMissing"));
    assert!(message.contains("dapr-sidecar-injector") && message.contains("--dapr-namespace"), "{message}");
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
