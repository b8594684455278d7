//! Tasks from elsewhere, such as an export of this or another platform.

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    NewTask, Status, Task, TaskError, UserId,
    draft::{Draft, YEARS},
    event, reminders,
    row::Row,
    table,
    write::now,
};
use crate::{
    events::EventType,
    problem::{FieldError, Fields},
    telemetry::trace_context,
};

/// A task as an export has it. What only the platform decides, such as its id, is not taken over.
#[derive(Clone, Debug, Default, PartialEq, ToSchema)]
pub struct ImportedTask {
    /// Its content.
    #[serde(flatten)]
    pub task: NewTask,
    /// Whether it is done; if absent, it is where `completed_at` is there.
    #[serde(default)]
    pub status: Option<Status>,
    /// When it was completed; now, if it was and this is absent.
    #[serde(default)]
    pub completed_at: Option<DateTime<Utc>>,
}

/// A task that may be imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Importable {
    draft: Draft,
    completed_at: Option<DateTime<Utc>>,
}

impl ImportedTask {
    /// Reads the members of an object; those that no task has are not looked at.
    pub fn read(mut fields: Fields) -> Result<Self, FieldError> {
        Ok(Self {
            status: fields.optional("status")?,
            completed_at: fields.optional("completed_at")?,
            task: fields.rest()?,
        })
    }

    /// Checks everything.
    pub fn check(self) -> Result<Importable, TaskError> {
        let completed_at = match self.status {
            Some(Status::Open) => None,
            Some(Status::Completed) => Some(self.completed_at.unwrap_or_else(now)),
            None => self.completed_at,
        };
        let draft = Draft::new(self.task);
        if completed_at.is_none_or(|at| YEARS.contains(&at.year())) {
            return Ok(Importable { draft: draft?, completed_at: completed_at.map(|at| at.trunc_subsecs(6)) });
        }
        let mut errors = match draft {
            Err(TaskError::Invalid(errors)) => errors,
            Err(other) => return Err(other),
            Ok(_) => Vec::new(),
        };
        errors.push(FieldError::new("completed_at", "must be in the years 1970 to 2200"));
        Err(TaskError::Invalid(errors))
    }
}

impl Importable {
    fn into_row(self, user: &UserId, created_at: DateTime<Utc>) -> Row {
        let mut row = Row::new(Uuid::now_v7(), user, self.draft, created_at);
        if let Some(at) = self.completed_at {
            row.task.status = Status::Completed;
            row.task.completed_at = Some(at);
        }
        row
    }
}

/// Creates them, in a few statements for all, and gives them in their order. Reminders whose time has passed are not told, and a
/// completed task makes no next occurrence.
pub async fn import(
    connection: &mut PgConnection,
    user: &UserId,
    imported: Vec<Importable>,
) -> Result<Vec<Task>, TaskError> {
    let created_at = now();
    let rows: Vec<Row> = imported.into_iter().map(|task| task.into_row(user, created_at)).collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    // A series is named after its new task: its place cannot be taken.
    table::insert(&mut *connection, &rows.iter().collect::<Vec<_>>()).await?;
    let open = rows.iter().map(|row| &row.task).filter(|task| task.completed_at.is_none());
    reminders::schedule_all(&mut *connection, open, Some(created_at)).await?;
    let trace = trace_context::current();
    let changes = rows.iter().map(|row| (&row.task, trace.as_deref()));
    event::record_all(connection, EventType::Created, changes).await?;
    Ok(rows.into_iter().map(|row| row.task).collect())
}
