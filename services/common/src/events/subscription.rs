use axum::Json;
use serde::Serialize;

use super::PUBSUB;

/// One entry of the answer to `GET /dapr/subscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Subscription {
    pubsubname: &'static str,
    topic: &'static str,
    route: &'static str,
    #[serde(rename = "deadLetterTopic", skip_serializing_if = "Option::is_none")]
    dead_letter_topic: Option<&'static str>,
}

impl Subscription {
    /// Events of `topic` are posted to `route`; what cannot be handled goes to `dead_letter_topic`.
    pub const fn new(topic: &'static str, route: &'static str, dead_letter_topic: Option<&'static str>) -> Self {
        Self { pubsubname: PUBSUB, topic, route, dead_letter_topic }
    }
}

/// The answer to `GET /dapr/subscribe`.
pub fn subscriptions(list: &[Subscription]) -> Json<Vec<Subscription>> {
    Json(list.to_vec())
}
