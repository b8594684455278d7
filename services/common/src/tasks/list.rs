use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::{Priority, Task, TaskError, UserId};

/// Which tasks to list. The default lists open ones by due time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    /// Open, completed or both.
    pub status: StatusFilter,
    /// A part of title or notes, in any case.
    pub q: Option<String>,
    /// Any of these; empty means all.
    pub priorities: Vec<Priority>,
    /// All of these, or any with `any_tag`.
    pub tags: Vec<String>,
    /// One tag is enough.
    pub any_tag: bool,
    /// Due at or after this.
    pub due_after: Option<DateTime<Utc>>,
    /// Due before this.
    pub due_before: Option<DateTime<Utc>>,
    /// The deleted ones instead.
    pub deleted: bool,
    /// Order.
    pub sort: Sort,
    /// The other way round.
    pub descending: bool,
    /// `next_cursor` of the page before, with the same filter.
    pub cursor: Option<String>,
    /// Items in a page, at most 200; 50 if absent.
    pub limit: Option<u32>,
}

/// Which status to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// Open ones.
    #[default]
    #[serde(alias = "pending")]
    Open,
    /// Completed ones.
    Completed,
    /// Both.
    All,
}

/// What to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Due time; those without come last.
    #[default]
    Due,
    /// Creation.
    CreatedAt,
    /// Last change.
    UpdatedAt,
    /// Urgency.
    Priority,
    /// Title.
    Title,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; nothing at the end.
    pub next_cursor: Option<String>,
}

/// A page of this user's tasks.
pub async fn list(connection: &mut PgConnection, user: &UserId, filter: &TaskFilter) -> Result<Page<Task>, TaskError> {
    let _ = (connection, user, filter);
    todo!()
}
