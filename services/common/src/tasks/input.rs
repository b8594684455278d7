//! What callers write.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Priority, Recurrence, Reminder};

/// A task to be created. `user_id` is not here: whose it is, is found out before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NewTask {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// At most 10 000 characters. The specification calls it `description`.
    #[serde(default, alias = "description")]
    #[schema(max_length = 10_000)]
    pub notes: Option<String>,
    /// How urgent.
    #[serde(default)]
    pub priority: Priority,
    /// At most 20.
    #[serde(default)]
    #[schema(max_items = 20, value_type = Vec<Tag>)]
    pub tags: Vec<String>,
    /// When it is due. At most one of this and `due_date`.
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// The day on which it is due.
    #[serde(default)]
    pub due_date: Option<NaiveDate>,
    /// IANA name; UTC if absent.
    #[serde(default)]
    #[schema(format = "time-zone")]
    pub time_zone: Option<String>,
    /// How it repeats.
    #[serde(default)]
    pub recurrence: Option<Recurrence>,
    /// At most 10.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub reminders: Vec<Reminder>,
}

/// A label of 1 to 50 characters, without a comma, which separates them in the filter of a list.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 50, pattern = "^[^,]*$")]
#[expect(dead_code, reason = "it describes what is checked later")]
struct Tag(String);

impl NewTask {
    /// A task with a title and nothing else.
    pub fn titled(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }
}

/// A change. What is absent stays as it is; `null` removes, but no title.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
pub struct TaskPatch {
    /// New title.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// New notes, or none.
    #[serde(default, alias = "description", deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    pub notes: Option<Option<String>>,
    /// New priority, or none.
    #[serde(default, deserialize_with = "or_default")]
    pub priority: Option<Priority>,
    /// All the tags.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(max_items = 20, value_type = Option<Vec<Tag>>)]
    pub tags: Option<Vec<String>>,
    /// New due time, or none. A due time replaces a due day.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub due_at: Option<Option<DateTime<Utc>>>,
    /// New due day, or none. A due day replaces a due time.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<NaiveDate>)]
    pub due_date: Option<Option<NaiveDate>>,
    /// New time zone; `null` is UTC.
    #[serde(default, deserialize_with = "or_utc")]
    #[schema(format = "time-zone")]
    pub time_zone: Option<String>,
    /// New recurrence, or none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Recurrence>)]
    pub recurrence: Option<Option<Recurrence>>,
    /// All the reminders.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(max_items = 10)]
    pub reminders: Option<Vec<Reminder>>,
}

/// Tells `null` from absent.
#[expect(clippy::option_option, reason = "three cases: absent, null and a value")]
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Of what is always there: `null` is a mistake.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Of what has a default: `null` is that.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer).map(|value: Option<T>| Some(value.unwrap_or_default()))
}

fn or_utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer).map(|zone: Option<String>| Some(zone.unwrap_or_else(|| "UTC".to_owned())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_description_is_notes() {
        let new: NewTask = serde_json::from_value(json!({"title": "a", "description": "b"})).unwrap();
        assert_eq!(new.notes.as_deref(), Some("b"));
    }

    #[test]
    fn null_removes_and_absent_keeps() {
        let patch: TaskPatch =
            serde_json::from_value(json!({"notes": null, "due_at": "2026-03-01T09:00:00Z"})).unwrap();
        assert_eq!(patch.notes, Some(None));
        assert!(matches!(patch.due_at, Some(Some(_))));
        assert_eq!(patch.recurrence, None);
    }

    #[test]
    fn null_is_the_default_of_what_cannot_be_absent_and_no_title() {
        let all = json!({"priority": null, "tags": null, "reminders": null, "time_zone": null});
        let patch: TaskPatch = serde_json::from_value(all).unwrap();
        assert_eq!((patch.priority, patch.time_zone.as_deref()), (Some(Priority::None), Some("UTC")));
        assert_eq!((patch.tags, patch.reminders), (Some(vec![]), Some(vec![])));
        assert_eq!(serde_json::from_value::<TaskPatch>(json!({})).unwrap(), TaskPatch::default());
        assert!(serde_json::from_value::<TaskPatch>(json!({"title": null})).is_err());
    }

    #[test]
    fn recurrence_and_reminders_are_written_as_pinned() {
        let json = json!({"title": "a", "recurrence": {"rrule": "FREQ=DAILY"},
            "reminders": [{"at": "2026-03-01T09:00:00Z"}, {"before_minutes": 10}]});
        let new: NewTask = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(new.recurrence, Some(Recurrence::Rrule("FREQ=DAILY".to_owned())));
        let written = serde_json::to_value(&new).unwrap();
        assert_eq!(written["recurrence"], json["recurrence"]);
        assert_eq!(written["reminders"], json["reminders"]);
        let after: Recurrence = serde_json::from_value(json!({"after_completion_days": 3})).unwrap();
        assert_eq!(after, Recurrence::AfterCompletionDays(3));
    }
}
