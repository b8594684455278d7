//! What travels over the broker. Both topics carry CloudEvents whose id is the outbox row's.

mod cloud_event;
mod reply;
mod subscription;
mod time;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use cloud_event::CloudEvent;
pub use reply::Reply;
pub use subscription::{Subscription, subscriptions};

use crate::tasks::{Task, UserId};

/// Component that publishes and subscribes.
pub const PUBSUB: &str = "kafka-pubsub";
/// Topic of [`TaskEvent`]; recurring-task-service consumes it, alone.
pub const TASK_EVENTS: &str = "task-events";
/// Topic of [`ReminderEvent`]; notification-service consumes it, alone.
pub const REMINDERS: &str = "reminders";
/// Where task events go that cannot be handled.
pub const TASK_EVENTS_DEAD: &str = "task-events-dead";
/// Where reminders go that cannot be handled.
pub const REMINDERS_DEAD: &str = "reminders-dead";

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// It is new.
    Created,
    /// Something of it changed; also: it was reopened, or restored after a delete.
    Updated,
    /// It was done.
    Completed,
    /// It was deleted; `restore` brings it back.
    Deleted,
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Completed => "completed",
            Self::Deleted => "deleted",
        })
    }
}

/// A change of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// What happened.
    pub event_type: EventType,
    /// Which task.
    pub task_id: Uuid,
    /// Whose. May be the canary's.
    #[serde(deserialize_with = "UserId::deserialize_any")]
    pub user_id: UserId,
    /// When. A time without zone, as Python writes it, is UTC.
    #[serde(deserialize_with = "time::lenient")]
    pub timestamp: DateTime<Utc>,
    /// The task after the change, as in the API. Not typed: other publishers write what they have.
    #[serde(default)]
    pub task_data: Value,
}

impl TaskEvent {
    /// The event for what was just done to `task`.
    pub fn new(event_type: EventType, task: &Task, timestamp: DateTime<Utc>) -> Self {
        Self {
            event_type,
            task_id: task.id,
            user_id: task.user_id.clone(),
            timestamp,
            task_data: serde_json::to_value(task).unwrap_or_default(),
        }
    }
}

/// A reminder that is to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderEvent {
    /// Which task.
    pub task_id: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// The task's title when the reminder was claimed.
    pub title: String,
    /// When the task is due.
    #[serde(default, deserialize_with = "time::lenient_option")]
    pub due_at: Option<DateTime<Utc>>,
    /// When to show it, not before.
    #[serde(deserialize_with = "time::lenient")]
    pub remind_at: DateTime<Utc>,
    /// How, for example `push`.
    #[serde(default = "ReminderEvent::default_method")]
    pub notification_method: String,
    /// Row of `task_reminders`. Absent from publishers that do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder_id: Option<Uuid>,
}

impl ReminderEvent {
    /// What `notification_method` is where nobody says.
    pub fn default_method() -> String {
        "push".to_owned()
    }
}
