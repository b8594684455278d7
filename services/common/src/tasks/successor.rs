//! The next occurrence of a recurring task.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;
use tokio::task::yield_now;
use uuid::Uuid;

use super::{
    Due, Reminder, Task, TaskError,
    draft::{Draft, zone_of},
    event,
    lifecycle::{create_again, mark_deleted},
    reminders,
    row::Row,
    table, to_instant,
    write::now,
};
use crate::{
    events::EventType,
    recurrence::{self, GaveUp, Occurrence, Series, Upcoming},
    telemetry::trace_context,
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
    let trace = trace_context::current();
    let mut successors = create_successors(connection, &[(task_id, trace.as_deref())]).await?;
    successors.remove(&task_id).ok_or(TaskError::NotFound)
}

/// The same of several tasks, each with the trace of its completion, in a few statements for all of them. Gives what became
/// of each that is there.
pub async fn create_successors(
    connection: &mut PgConnection,
    completions: &[(Uuid, Option<&str>)],
) -> Result<HashMap<Uuid, Successor>, TaskError> {
    let traces: HashMap<Uuid, Option<&str>> = completions.iter().copied().collect();
    let ids: Vec<Uuid> = traces.keys().copied().collect();
    // In the same order wherever it is done: who waits for another does not have what that one waits for.
    let completed: Vec<Row> = sqlx::query_as("SELECT * FROM tasks WHERE id = ANY ($1) ORDER BY id FOR UPDATE")
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    // Only a statement that begins with the locks held sees what somebody has made while this one waited for them.
    let mut spawned: HashMap<Uuid, Vec<Row>> = HashMap::new();
    for row in spawned_by(&mut *connection, &ids).await? {
        spawned.entry(row.spawned_by.unwrap_or_default()).or_default().push(row);
    }
    let mut successors = HashMap::new();
    let mut wanting = Vec::new();
    for row in &completed {
        let spawned = spawned.remove(&row.task.id).unwrap_or_default();
        match Wanting::new(row, spawned) {
            Ok(place) => wanting.push(place),
            Err(successor) => drop(successors.insert(row.task.id, successor)),
        }
    }
    let mut created = Vec::new();
    while !wanting.is_empty() {
        let mut proposed: BTreeMap<Uuid, (Row, Wanting<'_>)> = BTreeMap::new();
        let mut passed_over = Vec::new();
        for mut place in wanting {
            // Rules may take a while, and others are to have their turn.
            yield_now().await;
            let completed = &place.completed.task;
            match place.next(|next| proposed.values().any(|(row, _)| row.is_where(next)))? {
                Next::None => drop(successors.insert(completed.id, Successor::NotRecurring)),
                Next::Undone(mut row) => {
                    let again = create_again(&mut *connection, &mut row);
                    if trace_context::scope(traces[&completed.id], again).await? {
                        successors.insert(completed.id, Successor::Created(Box::new(row.task)));
                    } else {
                        passed_over.push(place);
                    }
                }
                Next::New(row) => drop(proposed.insert(row.task.id, (*row, place))),
            }
        }
        wanting = passed_over;
        let rows: Vec<&Row> = proposed.values().map(|(row, _)| row).collect();
        let inserted = if rows.is_empty() { HashSet::new() } else { table::insert(&mut *connection, &rows).await? };
        for (id, (row, place)) in proposed {
            if inserted.contains(&id) { created.push((place.completed.task.id, row.task)) } else { wanting.push(place) }
        }
    }
    reminders::schedule_all(&mut *connection, created.iter().map(|(_, task)| task), None).await?;
    let changes = created.iter().map(|(completed, task)| (task, traces[completed]));
    event::record_all(connection, EventType::Created, changes).await?;
    successors.extend(created.into_iter().map(|(completed, task)| (completed, Successor::Created(Box::new(task)))));
    Ok(successors)
}

/// A completed task whose next occurrence is to be made.
struct Wanting<'a> {
    completed: &'a Row,
    series_id: Uuid,
    /// What its earlier completions have made and their undoing has taken back.
    undone: Vec<Row>,
    upcoming: Upcoming<'a>,
}

/// What comes next for a completed task.
enum Next {
    /// Its rule has ended.
    None,
    /// An occurrence that is there, but was taken back.
    Undone(Box<Row>),
    /// One that is new, if its place in the series is free.
    New(Box<Row>),
}

impl<'a> Wanting<'a> {
    /// Or what became of it, where nothing is to be made. `spawned` are the occurrences that it has made.
    fn new(completed: &'a Row, spawned: Vec<Row>) -> Result<Self, Successor> {
        let task = &completed.task;
        let completed_at = task.completed_at.ok_or(Successor::NotCompleted)?;
        let (Some(recurrence), Some(series_id)) = (&task.recurrence, task.series_id) else {
            return Err(Successor::NotRecurring);
        };
        if let Some(earlier) = spawned.iter().find(|row| !row.undone) {
            let live = earlier.task.deleted_at.is_none().then(|| Box::new(earlier.task.clone()));
            return Err(Successor::AlreadyCreated(live));
        }
        let (start, due, zone) = (completed.series_start, task.due(), zone_of(task));
        let upcoming = recurrence::upcoming(&Series { recurrence, start, task_id: task.id, due, zone }, completed_at);
        Ok(Self { completed, series_id, undone: spawned, upcoming })
    }

    /// The next date that is not taken by another one, because the user has moved occurrences about: such a date is passed
    /// over. Those that are written together with this one are not in the table yet.
    fn next(&mut self, is_taken: impl Fn(&Row) -> bool) -> Result<Next, GaveUp> {
        for occurrence in &mut self.upcoming {
            let occurrence = occurrence?;
            let id = successor_id(&self.completed.task, &occurrence);
            if let Some(place) = self.undone.iter().position(|row| row.task.id == id) {
                let mut undone = self.undone.swap_remove(place);
                undone.fill(successor_draft(&self.completed.task, occurrence.due));
                undone.occurrence_key = Some(occurrence.key);
                undone.series_start = self.completed.series_start;
                return Ok(Next::Undone(Box::new(undone)));
            }
            let next = successor(self.completed, self.series_id, occurrence, now());
            if !is_taken(&next) {
                return Ok(Next::New(Box::new(next)));
            }
        }
        Ok(Next::None)
    }
}

/// Deletes the occurrence that the completion of this task made, unless somebody has changed or completed it.
pub(super) async fn undo_successor(connection: &mut PgConnection, task_id: Uuid) -> Result<(), TaskError> {
    for mut row in spawned_by(&mut *connection, &[task_id]).await? {
        let untouched = row.task.created_at == row.task.updated_at && row.task.completed_at.is_none();
        if untouched && row.task.deleted_at.is_none() {
            row.undone = true;
            // Nobody sees it there: its date may have to be another one's.
            row.step_aside();
            mark_deleted(&mut *connection, &mut row).await?;
        }
    }
    Ok(())
}

async fn spawned_by(connection: &mut PgConnection, task_ids: &[Uuid]) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM tasks WHERE spawned_by = ANY ($1) ORDER BY id FOR UPDATE")
        .bind(task_ids)
        .fetch_all(connection)
        .await
}

/// Whoever makes the occurrence that follows this one makes it with this id. What followed another one may have had the same date
/// before it was moved.
fn successor_id(completed: &Task, occurrence: &Occurrence) -> Uuid {
    Uuid::new_v5(&completed.id, occurrence.key.as_bytes())
}

fn successor(completed: &Row, series_id: Uuid, occurrence: Occurrence, now: DateTime<Utc>) -> Row {
    let id = successor_id(&completed.task, &occurrence);
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
    draft.reminders = match draft.due {
        Some(old) => draft.reminders.iter().map(|reminder| moved(*reminder, old, due, draft.zone)).collect(),
        None => draft.reminders.into_iter().filter(|reminder| matches!(reminder, Reminder::BeforeMinutes(_))).collect(),
    };
    draft.due = Some(due);
    draft
}

/// A reminder at a time keeps its distance to the due time on the user's clock, as due times are counted.
fn moved(reminder: Reminder, old: Due, new: Due, zone: Tz) -> Reminder {
    let Reminder::At(at) = reminder else { return reminder };
    let civil = at.with_timezone(&zone).naive_local() + (new.civil(zone) - old.civil(zone));
    let moved = to_instant(civil, zone);
    // Of a time that the clock skips: what comes before it is due is not to come after it.
    Reminder::At(if at <= old.instant(zone) { moved.min(new.instant(zone)) } else { moved })
}
