//! What the sidecar posts to a subscription's route, and what it wants to hear.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::events::Reply;

/// Metadata in which Dapr gives the record's key.
const KEY: &str = "__key";

/// A call of the sidecar.
#[derive(Debug, PartialEq)]
pub(super) enum Delivery {
    /// One event, as other callers send it too.
    One(Value),
    /// Several of one partition, in their order.
    Batch(Vec<Entry>),
}

/// An event of a batch.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Its name in this batch.
    pub(super) id: String,
    /// Key of the record, or nothing.
    pub(super) key: String,
    /// The CloudEvent.
    pub(super) event: Value,
}

#[derive(Deserialize)]
struct Envelope {
    entries: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    entry_id: String,
    #[serde(default)]
    event: Value,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Delivery {
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let body: Value = serde_json::from_slice(body)?;
        // Dapr's envelope of a batch is no CloudEvent itself.
        if body.get("specversion").is_some() || body.get("entries").is_none() {
            return Ok(Self::One(body));
        }
        let Envelope { entries } = serde_json::from_value(body)?;
        Ok(Self::Batch(entries.into_iter().map(Entry::from).collect()))
    }
}

impl From<RawEntry> for Entry {
    fn from(raw: RawEntry) -> Self {
        let key = raw.metadata.and_then(|mut metadata| metadata.remove(KEY)).unwrap_or_default();
        Self { id: raw.entry_id, key, event: raw.event }
    }
}

/// The answer to a batch: a word for each entry.
pub(super) struct Statuses(pub(super) Vec<(String, Reply)>);

impl IntoResponse for Statuses {
    fn into_response(self) -> Response {
        let statuses = self.0.iter().map(|(id, reply)| json!({"entryId": id, "status": reply.word()}));
        axum::Json(json!({"statuses": statuses.collect::<Vec<_>>()})).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_told_from_an_event() {
        let batch = json!({
            "id": "b1", "type": "com.dapr.event.sent.bulk", "topic": "task-events", "pubsubname": "kafka-pubsub",
            "metadata": {"pubsubName": "kafka-pubsub"},
            "entries": [
                {"entryId": "0", "event": {"specversion": "1.0", "id": "e1"}, "metadata": {"__key": "k", "__offset": "7"}},
                {"entryId": "1", "event": {"entries": []}, "metadata": null},
            ],
        });
        let entry = |id: &str, key: &str, event| Entry { id: id.to_owned(), key: key.to_owned(), event };
        let entries =
            vec![entry("0", "k", json!({"specversion": "1.0", "id": "e1"})), entry("1", "", json!({"entries": []}))];
        assert_eq!(Delivery::parse(batch.to_string().as_bytes()).unwrap(), Delivery::Batch(entries));
        for one in [json!({"specversion": "1.0", "id": "e1", "entries": [7]}), json!({"task_id": 7}), json!([])] {
            assert_eq!(Delivery::parse(one.to_string().as_bytes()).unwrap(), Delivery::One(one));
        }
    }
}
