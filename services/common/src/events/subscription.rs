use axum::Json;
use serde::Serialize;

use super::PUBSUB;

/// One entry of the answer to `GET /dapr/subscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    #[serde(rename = "pubsubname")]
    pubsub_name: &'static str,
    topic: &'static str,
    route: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_topic: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bulk_subscribe: Option<Batches>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

/// Dapr takes texts only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    raw_payload: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Batches {
    enabled: bool,
    max_messages_count: u32,
    max_await_duration_ms: u32,
}

impl Subscription {
    /// Events of `topic` are posted to `route`, each by itself.
    pub const fn new(topic: &'static str, route: &'static str) -> Self {
        Self { pubsub_name: PUBSUB, topic, route, dead_letter_topic: None, bulk_subscribe: None, metadata: None }
    }

    /// What has failed for long goes to `topic`.
    #[must_use]
    pub const fn with_dead_letters(self, topic: &'static str) -> Self {
        Self { dead_letter_topic: Some(topic), ..self }
    }

    /// Events are posted together: `most` at once, or what there is every `milliseconds`.
    #[must_use]
    pub const fn in_batches(self, most: u32, milliseconds: u32) -> Self {
        let batches = Batches { enabled: true, max_messages_count: most, max_await_duration_ms: milliseconds };
        Self { bulk_subscribe: Some(batches), ..self }
    }

    /// Records are posted as they are, in base64, whatever they are: otherwise Dapr posts only what is a JSON object.
    #[must_use]
    pub const fn raw(self) -> Self {
        Self { metadata: Some(Metadata { raw_payload: "true" }), ..self }
    }
}

/// The answer to `GET /dapr/subscribe`.
pub fn subscriptions(list: &[Subscription]) -> Json<Vec<Subscription>> {
    Json(list.to_vec())
}
