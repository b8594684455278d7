//! The next occurrence of a recurring task.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Due, Reminder, Task, TaskError,
    draft::{Draft, zone_of},
    event,
    lifecycle::{bring_back, mark_deleted},
    reminders,
    row::Row,
    write::now,
};
use crate::{
    events::EventType,
    recurrence::{self, Occurrence, Series},
};

/// What became of the completion of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Successor {
    /// The next occurrence was created now.
    Created(Box<Task>),
    /// It had been created before; nothing if it was deleted since.
    AlreadyCreated(Option<Box<Task>>),
    /// The task does not repeat, or its rule has ended.
    NotRecurring,
    /// The task is open, for example because it was reopened meanwhile.
    NotCompleted,
}

/// Creates the next occurrence of a completed recurring task, once, with its event. The task is locked meanwhile, so that
/// this and [`super::reopen`] come one after the other.
pub async fn create_successor(connection: &mut PgConnection, task_id: Uuid) -> Result<Successor, TaskError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM tasks WHERE id = $1 FOR UPDATE")
        .bind(task_id)
        .fetch_optional(&mut *connection)
        .await?;
    let completed = row.ok_or(TaskError::NotFound)?;
    let Some(completed_at) = completed.task.completed_at else { return Ok(Successor::NotCompleted) };
    let (Some(recurrence), Some(series_id)) = (&completed.task.recurrence, completed.task.series_id) else {
        return Ok(Successor::NotRecurring);
    };
    // Only a statement that begins with the lock held sees what somebody has made while this one waited for it.
    let spawned = spawned_by(&mut *connection, task_id).await?;
    if let Some(earlier) = spawned.iter().find(|row| !row.undone) {
        let live = earlier.task.deleted_at.is_none().then(|| Box::new(earlier.task.clone()));
        return Ok(Successor::AlreadyCreated(live));
    }
    let zone = zone_of(&completed.task);
    let series = Series { recurrence, start: completed.series_start, task_id, due: completed.task.due(), zone };
    for occurrence in recurrence::upcoming(&series, completed_at) {
        if let Some(mut undone) =
            spawned.iter().find(|row| row.occurrence_key.as_ref() == Some(&occurrence.key)).cloned()
        {
            undone.fill(successor_draft(&completed.task, occurrence.due));
            undone.series_start = completed.series_start;
            bring_back(&mut *connection, &mut undone, EventType::Created).await?;
            return Ok(Successor::Created(Box::new(undone.task)));
        }
        let next = successor(&completed, series_id, occurrence, now());
        // A date that is taken, because the user has moved occurrences about, is passed over.
        if next.insert(&mut *connection).await? {
            reminders::schedule(&mut *connection, &next.task, None).await?;
            event::record(connection, EventType::Created, &next.task).await?;
            return Ok(Successor::Created(Box::new(next.task)));
        }
    }
    Ok(Successor::NotRecurring)
}

/// Deletes the occurrence that the completion of this task made, unless somebody has changed or completed it.
pub(super) async fn undo_successor(connection: &mut PgConnection, task_id: Uuid) -> Result<(), TaskError> {
    for mut row in spawned_by(&mut *connection, task_id).await? {
        let untouched = row.task.created_at == row.task.updated_at && row.task.completed_at.is_none();
        if untouched && row.task.deleted_at.is_none() {
            row.undone = true;
            mark_deleted(&mut *connection, &mut row).await?;
        }
    }
    Ok(())
}

async fn spawned_by(connection: &mut PgConnection, task_id: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM tasks WHERE spawned_by = $1 ORDER BY id FOR UPDATE")
        .bind(task_id)
        .fetch_all(connection)
        .await
}

/// Whoever makes this occurrence makes it with this id.
fn successor(completed: &Row, series_id: Uuid, occurrence: Occurrence, now: DateTime<Utc>) -> Row {
    let id = Uuid::new_v5(&series_id, occurrence.key.as_bytes());
    let draft = successor_draft(&completed.task, occurrence.due);
    let mut row = Row::new(id, &completed.task.user_id, draft, now);
    row.task.series_id = Some(series_id);
    row.occurrence_key = Some(occurrence.key);
    row.series_start = completed.series_start;
    row.spawned_by = Some(completed.task.id);
    row
}

fn successor_draft(task: &Task, due: Due) -> Draft {
    let mut draft = Draft::of(task);
    let zone = draft.zone;
    // Reminders at a time keep their distance to the due time.
    draft.reminders = match draft.due {
        Some(old) => {
            draft.reminders.iter().map(|reminder| moved(*reminder, due.instant(zone) - old.instant(zone))).collect()
        }
        None => draft.reminders.into_iter().filter(|reminder| matches!(reminder, Reminder::BeforeMinutes(_))).collect(),
    };
    draft.due = Some(due);
    draft
}

fn moved(reminder: Reminder, by: chrono::TimeDelta) -> Reminder {
    match reminder {
        Reminder::At(at) => Reminder::At(at + by),
        before @ Reminder::BeforeMinutes(_) => before,
    }
}
