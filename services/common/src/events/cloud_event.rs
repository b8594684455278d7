use serde::{
    Deserialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Value;
use uuid::Uuid;

/// An event as a subscriber gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent<T> {
    /// The same at every redelivery. A bare payload has none: it gets one that is made of its text.
    pub id: String,
    /// Trace of the request that caused it, where the publisher says it.
    pub traceparent: Option<String>,
    /// The payload.
    pub data: T,
}

/// Dapr's envelope, as far as it is of use here.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "specversion")]
    _version: String,
    id: String,
    #[serde(default)]
    traceparent: Value,
    #[serde(default)]
    data: Value,
}

impl<T: DeserializeOwned> CloudEvent<T> {
    /// Reads an envelope, or a payload that was posted without one.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        Self::read(serde_json::from_slice(body)?)
    }

    /// The same for what is JSON already.
    pub fn read(event: Value) -> Result<Self, serde_json::Error> {
        if event.get("specversion").is_none() {
            let text = event.to_string();
            return Ok(Self::bare(text.as_bytes(), serde_json::from_value(event)?));
        }
        let envelope: Envelope = serde_json::from_value(event)?;
        if !(1..=256).contains(&envelope.id.len()) || envelope.id.chars().any(char::is_control) {
            return Err(serde_json::Error::custom(
                "the event's id must have 1 to 256 bytes, without control characters",
            ));
        }
        // A publisher without a JSON content type gets its object wrapped as a string.
        let data = match &envelope.data {
            Value::String(text) => {
                serde_json::from_str(text).or_else(|_| serde_json::from_value(envelope.data.clone()))?
            }
            _ => serde_json::from_value(envelope.data)?,
        };
        Ok(Self { id: envelope.id, traceparent: envelope.traceparent.as_str().map(ToOwned::to_owned), data })
    }
}

impl<T> CloudEvent<T> {
    /// A payload without envelope; its id is made of its bytes.
    pub(crate) fn bare(body: &[u8], data: T) -> Self {
        Self { id: format!("bare-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, body)), traceparent: None, data }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};
    use serde_json::json;

    use super::*;
    use crate::events::{EventType, ReminderEvent, TaskEvent};

    const TASK: &str = "0190b2f4-5c3e-7d1a-9a4b-1f2e3d4c5b6a";

    fn parse<T: DeserializeOwned>(body: &Value) -> Result<CloudEvent<T>, serde_json::Error> {
        CloudEvent::parse(body.to_string().as_bytes())
    }

    #[test]
    fn the_payload_of_an_envelope_is_under_data() {
        let event: CloudEvent<ReminderEvent> = parse(&json!({
            "specversion": "1.0", "id": "e1", "type": "com.dapr.event.sent", "source": "backend-service",
            "datacontenttype": "application/json", "topic": "reminders", "pubsubname": "kafka-pubsub",
            "data": {"task_id": TASK, "user_id": "ada", "title": "Buy groceries", "due_at": "2026-03-01T09:00:00+01:00",
                     "remind_at": "2026-03-01T08:00:00Z", "notification_method": "push"},
        }))
        .unwrap();
        assert_eq!(event.id, "e1");
        assert_eq!(event.data.due_at, Utc.with_ymd_and_hms(2026, 3, 1, 8, 0, 0).single());
        assert_eq!(event.data.reminder_id, None);
    }

    #[test]
    fn the_specifications_event_is_understood_with_and_without_envelope() {
        let payload = json!({
            "event_type": "created", "task_id": TASK, "user_id": "ada", "timestamp": "2026-03-01T08:00:00.123456",
            "task_data": {"id": TASK, "title": "Buy groceries", "description": null},
        });
        let bare: CloudEvent<TaskEvent> = parse(&payload).unwrap();
        let wrapped: CloudEvent<TaskEvent> =
            parse(&json!({"specversion": "1.0", "id": "e1", "data": payload})).unwrap();
        assert_eq!(bare.data, wrapped.data);
        assert_eq!(bare.data.event_type, EventType::Created);
        assert_eq!(bare.data.timestamp.timestamp_subsec_micros(), 123_456);
    }

    #[test]
    fn a_bare_payload_has_the_same_id_each_time() {
        let payload = json!({"task_id": TASK, "user_id": "ada", "title": "a", "remind_at": "2026-03-01T08:00:00"});
        let first: CloudEvent<ReminderEvent> = parse(&payload).unwrap();
        let again: CloudEvent<ReminderEvent> = parse(&payload).unwrap();
        assert_eq!(first.id, again.id);
        assert_eq!(first.data.notification_method, "push");
    }

    #[test]
    fn data_that_was_wrapped_as_text_is_unwrapped() {
        let data = json!({"task_id": TASK, "user_id": "ada", "title": "a", "remind_at": "2026-03-01T08:00:00Z"});
        let event: CloudEvent<ReminderEvent> =
            parse(&json!({"specversion": "1.0", "id": "e1", "data": data.to_string()})).unwrap();
        assert_eq!(event.data.title, "a");
    }

    #[test]
    fn the_canary_may_be_the_user_of_an_event() {
        let event: CloudEvent<TaskEvent> = parse(&json!({
            "event_type": "created", "task_id": TASK, "user_id": "$canary", "timestamp": "2026-03-01T08:00:00Z",
        }))
        .unwrap();
        assert!(event.data.user_id.is_canary());
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for body in [
            json!({}),
            json!([]),
            json!("text"),
            json!({"specversion": "1.0", "id": "e1"}),
            json!({
                "specversion": "1.0", "id": "", "data": {},
            }),
            json!({"specversion": "1.0", "id": "e\u{0}1", "data": {}}),
        ] {
            assert!(parse::<TaskEvent>(&body).is_err(), "{body}");
        }
        assert!(CloudEvent::<TaskEvent>::parse(b"{").is_err());
    }
}
