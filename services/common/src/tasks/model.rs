use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Due, UserId, timestamp};

/// A task as the API shows it. The field names are relied on by users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Id.
    pub id: Uuid,
    /// Whose.
    #[serde(deserialize_with = "UserId::deserialize_any")]
    pub user_id: UserId,
    /// What is to be done.
    pub title: String,
    /// More about it.
    pub notes: Option<String>,
    /// Open or completed.
    pub status: Status,
    /// How urgent.
    pub priority: Priority,
    /// Labels, without duplicates.
    pub tags: Vec<String>,
    /// When it is due, to the second. At most one of this and `due_date`.
    #[serde(serialize_with = "timestamp::serialize_option")]
    pub due_at: Option<DateTime<Utc>>,
    /// The day on which it is due.
    pub due_date: Option<NaiveDate>,
    /// IANA name of the zone in which days begin and rules repeat.
    pub time_zone: String,
    /// How it repeats.
    pub recurrence: Option<Recurrence>,
    /// When to remind. Empty with a `due_at` means once, at that time.
    pub reminders: Vec<Reminder>,
    /// When it was completed.
    #[serde(serialize_with = "timestamp::serialize_option")]
    pub completed_at: Option<DateTime<Utc>>,
    /// Common to all occurrences of a recurring task.
    pub series_id: Option<Uuid>,
    /// Grows with each change; for `If-Match`.
    pub version: i64,
    /// When it was created.
    #[serde(serialize_with = "timestamp::serialize")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "timestamp::serialize")]
    pub updated_at: DateTime<Utc>,
    /// When it was deleted; present in the list of deleted tasks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = DateTime<Utc>, required = false)]
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Task {
    /// Its due time or day.
    pub fn due(&self) -> Option<Due> {
        self.due_at.map(Due::At).or_else(|| self.due_date.map(Due::On))
    }
}

/// Whether a task is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Still to be done.
    Open,
    /// Done.
    Completed,
}

/// How urgent a task is. Ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Nobody said.
    #[default]
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Urgent.
    Urgent,
}

impl Priority {
    const ALL: [Self; 5] = [Self::None, Self::Low, Self::Medium, Self::High, Self::Urgent];

    /// As the database keeps it.
    pub(crate) const fn number(self) -> i16 {
        self as i16
    }

    /// From the database, whose check allows no other numbers.
    pub(crate) fn from_number(number: i16) -> Self {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index)).copied().unwrap_or_default()
    }
}

/// How a task repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recurrence {
    /// An RFC 5545 rule such as `FREQ=DAILY`, counted from the first occurrence. At most 500 characters.
    #[schema(format = "rrule")]
    Rrule(String),
    /// So many days after it was completed, 1 to 3650.
    AfterCompletionDays(u16),
}

/// When to remind of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reminder {
    /// At this time.
    At(DateTime<Utc>),
    /// So many minutes before it is due; before the day begins where it is due on a day.
    BeforeMinutes(u32),
}
