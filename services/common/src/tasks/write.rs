//! Creating, reading and changing.

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{NewTask, Task, TaskError, TaskPatch, UserId, draft::Draft, event, reminders, row::Row, table};
use crate::events::EventType;

/// Now, in the precision of the database.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Creates a task.
pub async fn create(connection: &mut PgConnection, user: &UserId, new: NewTask) -> Result<Task, TaskError> {
    let row = Row::new(Uuid::now_v7(), user, Draft::new(new)?, now());
    // The series is named after the new task: its place cannot be taken.
    table::insert(&mut *connection, &[&row]).await?;
    reminders::schedule(&mut *connection, &row.task, None).await?;
    event::record(connection, EventType::Created, &row.task).await?;
    Ok(row.task)
}

/// One task. A deleted one is not found.
pub async fn get(connection: &mut PgConnection, user: &UserId, id: Uuid) -> Result<Task, TaskError> {
    let task = sqlx::query_as("SELECT * FROM tasks WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL")
        .bind(id)
        .bind(user)
        .fetch_optional(connection)
        .await?;
    task.ok_or(TaskError::NotFound)
}

/// Changes a task. With `expected` only if it still has that version. A change of nothing is no change.
pub async fn update(
    connection: &mut PgConnection,
    user: &UserId,
    id: Uuid,
    expected: Option<i64>,
    patch: TaskPatch,
) -> Result<Task, TaskError> {
    update_with(connection, user, id, expected, |_| patch).await
}

/// The same by a change that depends on the task, which nobody else changes meanwhile.
pub async fn update_with(
    connection: &mut PgConnection,
    user: &UserId,
    id: Uuid,
    expected: Option<i64>,
    change: impl FnOnce(&Task) -> TaskPatch,
) -> Result<Task, TaskError> {
    let mut row = lock_live(&mut *connection, user, id, expected).await?;
    let before = Draft::of(&row.task);
    let after = before.clone().patched(change(&row.task))?;
    if before == after {
        return Ok(row.task);
    }
    let place = row.occurrence_key.clone();
    row.change(after);
    row.touch(now());
    if row.occurrence_key == place || place.is_none() {
        row.update(&mut *connection).await?;
    } else {
        row.update_moved(&mut *connection).await?;
    }
    if row.task.completed_at.is_none() {
        let after = Draft::of(&row.task);
        if before.reminder_times() != after.reminder_times() {
            reminders::reschedule(&mut *connection, &row.task).await?;
        }
        if (&before.title, before.due, before.zone) != (&after.title, after.due, after.zone) {
            reminders::reword(&mut *connection, &row.task).await?;
        }
    }
    event::record(connection, EventType::Updated, &row.task).await?;
    Ok(row.task)
}

/// This user's task, locked; not a deleted one, and only in the expected version.
pub(super) async fn lock_live(
    connection: &mut PgConnection,
    user: &UserId,
    id: Uuid,
    expected: Option<i64>,
) -> Result<Row, TaskError> {
    let row = Row::lock(connection, user, id).await?;
    let current = row.task.version;
    if row.task.deleted_at.is_some() {
        Err(TaskError::NotFound)
    } else if expected.is_some_and(|expected| expected != current) {
        Err(TaskError::Conflict { current })
    } else {
        Ok(row)
    }
}
