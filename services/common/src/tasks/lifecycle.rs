//! Completing, deleting, and taking either back.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Status, Task, TaskError, UserId, event, reminders,
    row::Row,
    successor,
    write::{lock_live, now},
};
use crate::{events::EventType, recurrence};

/// Completes a task. One that is completed stays as it is. The next occurrence of a recurring one is made from the event.
pub async fn complete(c: &mut PgConnection, user: &UserId, id: Uuid, expected: Option<i64>) -> Result<Task, TaskError> {
    let mut row = lock_live(&mut *c, user, id, expected).await?;
    if row.task.completed_at.is_some() {
        return Ok(row.task);
    }
    row.touch(now());
    row.task.status = Status::Completed;
    row.task.completed_at = Some(row.task.updated_at);
    row.update(&mut *c).await?;
    reminders::retract(&mut *c, id).await?;
    event::record(c, EventType::Completed, &row.task).await?;
    Ok(row.task)
}

/// Opens a completed task again and takes back the occurrence that its completion made, if nobody touched that.
/// Reminders whose time has passed are not told again.
pub async fn reopen(c: &mut PgConnection, user: &UserId, id: Uuid, expected: Option<i64>) -> Result<Task, TaskError> {
    let mut row = lock_live(&mut *c, user, id, expected).await?;
    if row.task.completed_at.is_none() {
        return Ok(row.task);
    }
    row.touch(now());
    row.task.status = Status::Open;
    row.task.completed_at = None;
    row.update(&mut *c).await?;
    reminders::schedule(&mut *c, &row.task, Some(row.task.updated_at)).await?;
    event::record(&mut *c, EventType::Updated, &row.task).await?;
    successor::undo_successor(c, id).await?;
    Ok(row.task)
}

/// Deletes a task; [`restore`] brings it back.
pub async fn delete(c: &mut PgConnection, user: &UserId, id: Uuid, expected: Option<i64>) -> Result<Task, TaskError> {
    let mut row = lock_live(&mut *c, user, id, expected).await?;
    mark_deleted(c, &mut row).await?;
    Ok(row.task)
}

/// Brings a deleted task back. One that is not deleted stays as it is.
pub async fn restore(c: &mut PgConnection, user: &UserId, id: Uuid) -> Result<Task, TaskError> {
    let mut row = Row::lock(&mut *c, user, id).await?;
    if row.task.deleted_at.is_none() {
        return Ok(row.task);
    }
    row.touch(now());
    row.task.deleted_at = None;
    if row.undone {
        row.undone = false;
        row.occurrence_key = row.occurrence_key.as_deref().map(|key| recurrence::own_place(key).to_owned());
        row.update_moved(&mut *c).await?;
    } else {
        row.update(&mut *c).await?;
    }
    if row.task.completed_at.is_none() {
        reminders::schedule(&mut *c, &row.task, Some(row.task.updated_at)).await?;
    }
    event::record(c, EventType::Updated, &row.task).await?;
    Ok(row.task)
}

pub(super) async fn mark_deleted(c: &mut PgConnection, row: &mut Row) -> Result<(), sqlx::Error> {
    row.touch(now());
    row.task.deleted_at = Some(row.task.updated_at);
    row.update(&mut *c).await?;
    reminders::retract(&mut *c, row.task.id).await?;
    event::record(c, EventType::Deleted, &row.task).await
}

/// Creates an occurrence again that was taken back, unless another one has come to stand in its place. Says whether it is there.
pub(super) async fn create_again(c: &mut PgConnection, row: &mut Row) -> Result<bool, sqlx::Error> {
    row.touch(now());
    row.task.deleted_at = None;
    row.undone = false;
    // As after its first creation, nobody has touched it.
    row.task.created_at = row.task.updated_at;
    let is_free = row.update_if_free(&mut *c).await?;
    if is_free {
        // What was told of it before is still there.
        reminders::schedule(&mut *c, &row.task, None).await?;
        event::record(c, EventType::Created, &row.task).await?;
    }
    Ok(is_free)
}
