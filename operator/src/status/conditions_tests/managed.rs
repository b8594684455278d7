//! Kafka and PostgreSQL that another operator runs.

use super::*;

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
fn an_operator_of_which_nobody_knows_whether_it_is_installed_is_not_called_missing() {
    let asked = |data_path| {
        let verdicts = of_platform(|observed| {
            with_strimzi(observed, not_ready(State::Absent));
            observed.infrastructure.missing = vec![crate::observe::managed::STRIMZI];
            observed.cluster.unanswered = todo_crds::strimzi::KINDS.into();
            observed.data_path = data_path;
        });
        let (status, reason, _) = find(&verdicts, condition::INFRASTRUCTURE_READY);
        (status, reason, find(&verdicts, condition::READY).0)
    };
    assert_eq!(asked(DataPath::Unknown("no backend".to_owned())), (None, "Waiting".to_owned(), Some(false)));
    assert_eq!(asked(working().data_path), (Some(true), "Ready".to_owned(), Some(true)), "events go through it");
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
