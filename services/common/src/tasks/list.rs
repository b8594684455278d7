//! Lists: filters, orders and pages by key, so that a page costs the same wherever it begins.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use utoipa::ToSchema;

use super::{
    Priority, Task, TaskError, UserId,
    search::Search,
    table::{SHOWN, no_due},
};
use crate::{
    cursor::{self, Cursor},
    problem::FieldError,
};

/// Which tasks to list. The default lists open ones by due time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    /// Open, completed or both.
    pub status: StatusFilter,
    /// Words of title or notes, in any case; the last one may be a beginning.
    pub q: Option<String>,
    /// Any of these; empty means all.
    pub priorities: Vec<Priority>,
    /// All of these, or any with `any_tag`.
    pub tags: Vec<String>,
    /// One tag is enough.
    pub any_tag: bool,
    /// Due at or after this; not what is not due at all.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Due time; those without come last, in both directions.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; nothing at the end.
    pub next_cursor: Option<String>,
}

/// A page of this user's tasks.
pub async fn list(connection: &mut PgConnection, user: &UserId, filter: &TaskFilter) -> Result<Page<Task>, TaskError> {
    let limit = cursor::limit(filter.limit);
    let mut rows: Vec<PgRow> = Vec::new();
    for (part, cursor) in parts(filter, check(filter)?) {
        let wanted = i64::from(limit) + 1 - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if wanted <= 0 {
            break;
        }
        let mut query = select(user, filter, part, cursor);
        query.push(" LIMIT ").push_bind(wanted);
        rows.extend(query.build().fetch_all(&mut *connection).await.map_err(explain)?);
    }
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next_cursor = match rows.last().filter(|_| has_more) {
        Some(last) => Some(Cursor { value: filter.sort.value(last)?, id: last.try_get("id")? }.encode()),
        None => None,
    };
    Ok(Page { items: rows.iter().map(Task::from_row).collect::<Result<_, _>>()?, next_cursor })
}

/// `cursor` of what comes after this task, where tasks are sorted by their creation.
pub fn cursor_after(task: &Task) -> String {
    Cursor { value: text(task.created_at), id: task.id }.encode()
}

/// As the database has times.
fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Tasks that are read by one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Whether they are due or not.
    All,
    /// Those that are due at some time.
    Due,
    /// Those that are not.
    NotDue,
}

/// The parts of a list in their order, each with where it goes on. From the last due time to the first there are two: an index has
/// what is not due at the same end in both directions, and lists have not.
fn parts(filter: &TaskFilter, cursor: Option<Cursor>) -> Vec<(Part, Option<Cursor>)> {
    let only_due = filter.due_after.is_some() || filter.due_before.is_some();
    let is_not_due = |cursor: &Cursor| cursor.value.parse().is_ok_and(|at: DateTime<Utc>| at >= no_due());
    match (filter.sort, filter.descending) {
        _ if only_due => vec![(Part::Due, cursor)],
        (Sort::Due, true) if cursor.as_ref().is_some_and(is_not_due) => vec![(Part::NotDue, cursor)],
        (Sort::Due, true) => vec![(Part::Due, cursor), (Part::NotDue, None)],
        _ => vec![(Part::All, cursor)],
    }
}

fn select<'a>(user: &'a UserId, filter: &'a TaskFilter, part: Part, cursor: Option<Cursor>) -> QueryBuilder<Postgres> {
    let (key, key_type) = filter.sort.column();
    let mut query = QueryBuilder::new(format!("SELECT {SHOWN}, {key} AS sort_key FROM tasks WHERE user_id = "));
    query.push_bind(user.clone());
    query.push(if filter.deleted { " AND deleted_at IS NOT NULL AND NOT undone" } else { " AND deleted_at IS NULL" });
    match filter.status {
        StatusFilter::Open => query.push(" AND completed_at IS NULL"),
        StatusFilter::Completed => query.push(" AND completed_at IS NOT NULL"),
        StatusFilter::All => &mut query,
    };
    if let Some(q) = filter.q.as_deref().filter(|q| !q.trim().is_empty()) {
        Search::of(q).push(&mut query);
    }
    if !filter.priorities.is_empty() {
        let numbers: Vec<i16> = filter.priorities.iter().map(|priority| priority.number()).collect();
        query.push(" AND priority = ANY (").push_bind(numbers).push(")");
    }
    if !filter.tags.is_empty() {
        query.push(if filter.any_tag { " AND tags && " } else { " AND tags @> " }).push_bind(filter.tags.clone());
    }
    match part {
        Part::All => {}
        Part::Due => {
            query.push(" AND due_sort < ").push_bind(no_due());
        }
        Part::NotDue => {
            query.push(" AND due_sort = ").push_bind(no_due());
        }
    }
    if let Some(after) = filter.due_after {
        query.push(" AND due_sort >= ").push_bind(after);
    }
    if let Some(before) = filter.due_before {
        query.push(" AND due_sort < ").push_bind(before);
    }
    let (compare, direction) = if filter.descending { ("<", "DESC") } else { (">", "ASC") };
    if let Some(Cursor { value, id }) = cursor {
        query.push(format!(" AND ({key}, id) {compare} (")).push_bind(value);
        query.push(format!("::text::{key_type}, ")).push_bind(id).push(")");
    }
    query.push(format!(" ORDER BY {key} {direction}, id {direction}"));
    query
}

impl Sort {
    /// Expression and type. With the id after it the order is total.
    const fn column(self) -> (&'static str, &'static str) {
        match self {
            Self::Due => ("due_sort", "timestamptz"),
            Self::CreatedAt => ("created_at", "timestamptz"),
            Self::UpdatedAt => ("updated_at", "timestamptz"),
            Self::Priority => ("priority", "smallint"),
            Self::Title => ("lower(title)", "text"),
        }
    }

    /// What a row is sorted by, as the text from which the database has it again.
    fn value(self, row: &PgRow) -> Result<String, sqlx::Error> {
        let key = "sort_key";
        Ok(match self {
            Self::Due | Self::CreatedAt | Self::UpdatedAt => text(row.try_get(key)?),
            Self::Priority => row.try_get::<i16, _>(key)?.to_string(),
            Self::Title => row.try_get(key)?,
        })
    }
}

fn check(filter: &TaskFilter) -> Result<Option<Cursor>, TaskError> {
    let wrong = |field: &str, message: &str| TaskError::Invalid(vec![FieldError::new(field, message)]);
    if filter.q.as_ref().is_some_and(|q| q.chars().count() > 200 || q.contains('\0')) {
        return Err(wrong("q", "must have at most 200 characters"));
    }
    if filter.tags.len() > 20 || filter.tags.iter().any(|tag| tag.chars().count() > 50 || tag.contains('\0')) {
        return Err(wrong("tags", "at most 20 tags of at most 50 characters"));
    }
    cursor::read(filter.cursor.as_deref()).map_err(|wrong| TaskError::Invalid(vec![wrong]))
}

fn explain(error: sqlx::Error) -> TaskError {
    if cursor::is_refused(&error) { TaskError::Invalid(vec![cursor::wrong()]) } else { error.into() }
}
