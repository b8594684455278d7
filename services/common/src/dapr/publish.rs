//! Publishing events.

use std::collections::{BTreeMap, HashMap};

use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Client, Error, send, success};

/// An event to be published.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Id of the CloudEvent.
    pub id: &'a str,
    /// Events of one key keep their order.
    pub partition_key: &'a str,
    /// Trace of what caused it.
    pub traceparent: Option<&'a str>,
    /// Data of the CloudEvent.
    pub data: &'a Value,
}

/// How Dapr wants an event of several.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(rename = "entryId")]
    id: &'a str,
    event: &'a Value,
    content_type: &'static str,
    metadata: BTreeMap<&'static str, &'a str>,
}

impl<'a> From<&Event<'a>> for Entry<'a> {
    fn from(event: &Event<'a>) -> Self {
        let mut metadata = BTreeMap::from([("cloudevent.id", event.id), ("partitionKey", event.partition_key)]);
        metadata.extend(event.traceparent.map(|parent| ("cloudevent.traceparent", parent)));
        // Without a JSON content type subscribers get a string instead of an object.
        Self { id: event.id, event: event.data, content_type: "application/json", metadata }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    failed_entries: Vec<FailedEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailedEntry {
    entry_id: String,
    #[serde(default)]
    error: String,
}

impl Client {
    /// Publishes events to one topic and returns when the broker has answered for each. Gives why some failed, by their ids;
    /// an error is about all of them. Of events with the same partition key one may fail and the next not.
    pub async fn publish(
        &self,
        pubsub: &str,
        topic: &str,
        events: &[Event<'_>],
    ) -> Result<HashMap<String, String>, Error> {
        let operation = "publishing events";
        // The stable path of this is only in Dapr 1.17 and later, which serve this one as well.
        let url = self.url(&["v1.0-alpha1", "publish", "bulk", pubsub, topic])?;
        let entries: Vec<Entry<'_>> = events.iter().map(Entry::from).collect();
        let response = send(operation, self.http.post(url).json(&entries)).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(HashMap::new());
        }
        let text = response.text().await.unwrap_or_default();
        match serde_json::from_str(&text) {
            Ok(Answer { failed_entries }) if !failed_entries.is_empty() => {
                Ok(failed_entries.into_iter().map(|entry| (entry.entry_id, entry.error)).collect())
            }
            _ => Err(Error::from_body(operation, status, &text)),
        }
    }

    /// Publishes what came from a topic to another one, as it is. A CloudEvent gets what Dapr adds to each; anything else would be
    /// the data of a new one, with another id each time.
    pub async fn forward(&self, pubsub: &str, topic: &str, partition_key: &str, event: &Value) -> Result<(), Error> {
        let is_envelope = event.get("specversion").is_some();
        let content_type = if is_envelope { "application/cloudevents+json" } else { "application/json" };
        let raw: &[(&str, &str)] = if is_envelope { &[] } else { &[("metadata.rawPayload", "true")] };
        let request = self
            .http
            .post(self.url(&["v1.0", "publish", pubsub, topic])?)
            .query(&[("metadata.partitionKey", partition_key)])
            .query(raw)
            .header(CONTENT_TYPE, content_type)
            .json(event);
        let operation = "publishing a dead letter";
        success(operation, send(operation, request).await?).await.map(drop)
    }
}
