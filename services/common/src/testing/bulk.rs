//! Batches of events as the sidecar posts them.

use serde_json::{Value, json};

/// A batch of these events, each with its task as its key.
pub fn bulk(events: &[Value]) -> Value {
    let entries = events.iter().enumerate().map(|(number, event)| {
        json!({"entryId": number.to_string(), "event": event, "metadata": {"__key": event["data"]["task_id"]}})
    });
    json!({"id": "b1", "type": "com.dapr.event.sent.bulk", "entries": entries.collect::<Vec<_>>()})
}

/// What was answered to each event of a batch.
///
/// # Panics
/// If that is no answer to a batch.
pub fn statuses(answer: &Value) -> Vec<&str> {
    let all = answer["statuses"].as_array().expect("an answer to a batch has statuses");
    all.iter().map(|status| status["status"].as_str().expect("a status is a word")).collect()
}
