//! What is abnormal while a platform works.

use super::*;
use crate::observe::managed::STRIMZI;

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
fn pods_that_are_asked_for_beside_those_that_serve_and_do_not_come_make_nothing_unready() {
    let stuck = || State::Stuck { reason: "Unschedulable".to_owned(), message: "pod x".to_owned() };
    let progressing = || State::Progressing("2 of 4 pods are ready".to_owned());
    for (state, abnormal) in [(stuck(), condition::DEGRADED), (progressing(), condition::PROGRESSING)] {
        for (what, wanted, told) in [("by an autoscaler", 2, None), ("by the spec", 4, Some(2))] {
            let mut observed = working();
            observed.services[0].rollout = Rollout { desired: 4, ready: 2, state: state.clone() };
            (observed.services[0].needed, observed.services[0].wanted) = (2, wanted);
            let assessment = Assessment::Observed(Box::new(observed));
            let verdicts = of(&assessment);
            for type_ in [condition::SERVICES_READY, condition::READY, abnormal] {
                assert_eq!(find(&verdicts, type_).0, Some(true), "{what}: {type_}");
            }
            if abnormal == condition::DEGRADED {
                assert_eq!(find(&verdicts, abnormal).1, "RolloutStuck", "{what}");
            }
            let status = assess(&assessment, &TodoPlatformStatus::default(), Some(1), Timestamp::UNIX_EPOCH);
            assert_eq!(status.services_ready.as_deref(), Some("4/4"), "{what}");
            assert_eq!(status.services[0].needed, told, "{what}");
        }
    }
}

#[test]
fn a_service_that_comes_up_or_has_lost_a_pod_is_not_ready_with_less_than_all() {
    for (desired, ready) in [(4, 2), (2, 1)] {
        let verdicts = of_platform(|observed| {
            let state = State::Progressing(format!("{ready} of {desired} pods are ready"));
            observed.services[0].rollout = Rollout { desired, ready, state };
            (observed.services[0].needed, observed.services[0].wanted) = (desired, desired);
        });
        for type_ in [condition::SERVICES_READY, condition::READY] {
            assert_eq!(find(&verdicts, type_).0, Some(false), "{type_}");
        }
    }
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
fn what_nothing_needs_degrades_if_it_is_somebody_elses_and_makes_nothing_unready() {
    for (kind, name, wave) in [
        ("PodDisruptionBudget", "backend-service", Wave::Foundation),
        ("ConfigMap", "todo-platform-dashboard", Wave::Workload),
    ] {
        let verdicts = of_platform(|observed| {
            let key = key(kind, name);
            observed.applied.foreign = vec![Foreign { key, wave, message: "theirs".to_owned() }];
        });
        for type_ in [condition::SERVICES_READY, condition::READY] {
            assert_eq!(find(&verdicts, type_).0, Some(true), "{kind}: {type_}");
        }
        let (status, reason, message) = find(&verdicts, condition::DEGRADED);
        assert_eq!((status, reason.as_str()), (Some(true), "ForeignObject"));
        assert!(message.contains(&format!("{kind}/{name} is not the operator's: theirs")), "{message}");
    }
}

#[test]
fn what_nothing_else_tells_of_and_is_not_as_it_should_be_degrades() {
    let held =
        |kind: &str, hold| Held { key: key(kind, "x"), wave: Wave::Foundation, hold, reason: "of this".to_owned() };
    for (kind, hold, expected) in [
        ("NetworkPolicy", Hold::Unwatched, Some("KindUnwatched")),
        ("Role", Hold::Leaving, Some("BeingDeleted")),
        ("Service", Hold::Truce, Some("OwnershipFight")),
        ("HTTPRoute", Hold::Unwatched, Some("GatewayApiMissing")),
        ("Component", Hold::Unwatched, Some("KindUnwatched")),
        ("Component", Hold::Leaving, Some("BeingDeleted")),
        // These have conditions of their own.
        ("Resiliency", Hold::Unwatched, None),
        ("Kafka", Hold::Unwatched, None),
        // Nobody knows whether the cluster has this one.
        ("PodMonitor", Hold::Unwatched, None),
        ("Deployment", Hold::Turn, None),
    ] {
        let verdicts = of_platform(|observed| {
            observed.applied.held = vec![held(kind, hold)];
            observed.infrastructure.missing = vec![STRIMZI];
            observed.cluster.served.remove("Resiliency");
            observed.cluster.unanswered = ["PodMonitor"].into();
        });
        let (status, reason, message) = find(&verdicts, condition::DEGRADED);
        assert_eq!(status, Some(expected.is_some()), "{kind}");
        assert_eq!(reason, expected.unwrap_or("AsExpected"), "{kind}");
        assert!(
            expected.is_none() || message.contains(&format!("{kind}/x")) && message.contains("of this"),
            "{message}"
        );
    }
}

#[test]
fn a_broker_that_the_operator_cannot_ask_but_that_carries_events_is_good_enough() {
    let verdicts = of_platform(|observed| {
        observed.infrastructure.account = Some(account());
        observed.infrastructure.topics = Topics::Unreachable("no route".to_owned());
    });
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
}

#[test]
fn what_the_broker_refuses_to_new_pods_is_told_while_those_from_before_serve() {
    let change = |proven: bool| {
        of_platform(|observed| {
            let (why, error) = ("it refuses the password".to_owned(), Some("SaslAuthenticationFailed".to_owned()));
            observed.infrastructure.account = Some(account());
            observed.infrastructure.topics = Topics::Refused { why, error };
            if !proven {
                observed.data_path = DataPath::Broken { reason: "NotPublished".to_owned(), message: "x".to_owned() };
            }
        })
    };
    let (status, _, message) = find(&change(true), condition::INFRASTRUCTURE_READY);
    assert!(
        status == Some(true) && message.ends_with("cannot ask it for its topics: it refuses the password"),
        "{message}"
    );
    let (status, reason, message) = find(&change(false), condition::INFRASTRUCTURE_READY);
    assert_eq!((status, reason.as_str()), (Some(false), "KafkaUnreachable"));
    assert!(message.ends_with("it refuses the password: SaslAuthenticationFailed"), "{message}");
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
fn topics_with_other_partitions_than_the_spec_says_are_told_and_stop_nothing() {
    let differing = Topics::Differing(vec![("reminders".to_owned(), 1)]);
    let verdicts = of_platform(|observed| observed.infrastructure.topics = differing);
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
    let (status, reason, message) = find(&verdicts, condition::DEGRADED);
    assert_eq!((status, reason.as_str()), (Some(true), "PartitionsDiffer"));
    assert!(message.contains("reminders has 1"), "{message}");
}
