//! Each state of what other operators run, as they write it.

use std::sync::Arc;

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::*;
use crate::plan::Key;

fn put(live: &mut Live, kind: &str, name: &str, status: &Value) {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": name, "generation": 2},
        "spec": {"instances": 3}, "status": status,
    }))
    .unwrap();
    live.objects.insert(Key { kind: kind.to_owned(), name: name.to_owned() }, Arc::new(object));
}

fn conditions(conditions: &Value) -> Value {
    json!({"observedGeneration": 2, "conditions": conditions})
}

/// A Kafka that works.
fn strimzi() -> Live {
    let ready = conditions(&json!([{"type": "Ready", "status": "True"}]));
    let mut live = Live::default();
    put(&mut live, "Kafka", "kafka", &ready);
    put(&mut live, "KafkaUser", "kafka-client", &ready);
    for topic in names::TOPICS {
        put(&mut live, "KafkaTopic", topic, &ready);
    }
    live
}

/// What is said of the Kafka when one of its objects has this status, and whether it serves.
fn with(kind: &str, name: &str, status: &Value) -> (State, bool) {
    let mut live = strimzi();
    put(&mut live, kind, name, status);
    let rollout = kafka(&live);
    (rollout.state.clone(), rollout.is_serving())
}

fn stuck(reason: &str, message: &str) -> State {
    State::Stuck { reason: reason.to_owned(), message: message.to_owned() }
}

#[test]
fn a_kafka_is_ready_when_all_of_it_is() {
    let rollout = kafka(&strimzi());
    assert_eq!((rollout.state.clone(), rollout.is_serving()), (State::Done, true));
    let rollout = kafka(&Live::default());
    assert_eq!((rollout.state.clone(), rollout.is_serving()), (State::Absent, false));
}

#[test]
fn what_strimzi_says_of_an_object_that_is_not_ready_is_told_with_the_object() {
    let creating = conditions(&json!([{"type": "NotReady", "status": "True", "reason": "Creating",
        "message": "Kafka cluster is being deployed"}]));
    let on_the_way = State::Progressing("Kafka/kafka: Kafka cluster is being deployed".to_owned());
    assert_eq!(with("Kafka", "kafka", &creating), (on_the_way, false));

    let failed = conditions(&json!([
        {"type": "Warning", "status": "True", "reason": "DeprecatedFields", "message": "..."},
        {"type": "NotReady", "status": "True", "reason": "InvalidResourceException", "message": "no such storage class"},
    ]));
    let expected = stuck("InvalidResourceException", "Kafka/kafka: no such storage class");
    assert_eq!(with("Kafka", "kafka", &failed), (expected, false));

    // The operator for topics writes it in the other way.
    let topic = conditions(&json!([{"type": "Ready", "status": "False", "reason": "NotSupported",
        "message": "Decreasing partitions not supported"}]));
    let expected = stuck("NotSupported", "KafkaTopic/reminders: Decreasing partitions not supported");
    assert_eq!(with("KafkaTopic", "reminders", &topic), (expected, false));

    let odd =
        conditions(&json!([{"type": "NotReady", "status": "True", "reason": "io.strimzi: what?", "message": "x"}]));
    assert_eq!(with("KafkaUser", "kafka-client", &odd).0, stuck("NotReady", "KafkaUser/kafka-client: x"));
    let paused = conditions(&json!([{"type": "ReconciliationPaused", "status": "True"}]));
    assert!(
        matches!(with("Kafka", "kafka", &paused).0, State::Stuck { reason, .. } if reason == "ReconciliationPaused")
    );
}

#[test]
fn a_kafka_serves_on_while_a_change_of_it_has_not_been_taken_up() {
    let stale = json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]});
    let expected = State::Progressing("Kafka/kafka: the change has not been taken up yet".to_owned());
    assert_eq!(with("Kafka", "kafka", &stale), (expected, true));
}

#[test]
fn an_operator_that_does_not_look_is_named() {
    let (state, serves) = with("KafkaTopic", "task-events", &Value::Null);
    assert!(!serves);
    assert!(
        matches!(&state, State::Progressing(message) if message.contains("KafkaTopic/task-events: Strimzi has not taken it up")),
        "{state:?}"
    );
}

#[test]
fn what_is_stuck_is_told_before_what_is_on_the_way() {
    let mut live = strimzi();
    put(&mut live, "Kafka", "kafka", &Value::Null);
    let failed = conditions(&json!([{"type": "Ready", "status": "False", "reason": "KafkaError", "message": "no"}]));
    put(&mut live, "KafkaTopic", "reminders", &failed);
    assert_eq!(kafka(&live).state, stuck("KafkaError", "KafkaTopic/reminders: no"));
}

#[test]
fn a_postgresql_serves_while_it_has_a_primary_and_is_done_when_all_are_ready() {
    for (status, state, serves) in [
        (
            json!({"phase": "Cluster in healthy state", "readyInstances": 3, "currentPrimary": "postgres-1"}),
            State::Done,
            true,
        ),
        (
            json!({"phase": "Creating a new replica", "phaseReason": "Creating replica postgres-2-join",
                "readyInstances": 1, "currentPrimary": "postgres-1"}),
            State::Progressing(
                "Cluster/postgres: Creating a new replica: Creating replica postgres-2-join; 1 of 3 are ready"
                    .to_owned(),
            ),
            true,
        ),
        (
            json!({"phase": "Setting up primary"}),
            State::Progressing("Cluster/postgres: Setting up primary; 0 of 3 are ready".to_owned()),
            false,
        ),
        (
            json!({"phase": "Unable to create required cluster objects", "phaseReason": "no such storage class"}),
            stuck(
                "ClusterIsNotReady",
                "Cluster/postgres: Unable to create required cluster objects: no such storage class; 0 of 3 are ready",
            ),
            false,
        ),
    ] {
        let mut live = Live::default();
        put(&mut live, "Cluster", "postgres", &status);
        let rollout = postgres(&live);
        assert_eq!((rollout.state.clone(), rollout.is_serving()), (state, serves), "{status}");
    }
    assert_eq!(postgres(&Live::default()).state, State::Absent);
}
