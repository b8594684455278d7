//! `POST /reminders`: the subscription of topic `reminders`.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use metrics::{counter, histogram};
use sqlx::{FromRow, PgConnection};
use todo_common::{
    apps,
    consumer::Consumer,
    events::{CloudEvent, REMINDERS, REMINDERS_DEAD, ReminderEvent},
    problem::{FieldError, Problem},
    tasks::{self, Due},
};
use uuid::Uuid;

use crate::{deliveries, notification::New};

/// Longest `notification_method` that makes sense.
const METHOD: usize = 50;

/// Stores reminders, each to be shown when it is time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reminders;

/// What became of a reminder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It will be shown.
    Stored,
    /// It was stored before, by another event.
    Duplicate,
    /// The task was done, deleted or moved meanwhile.
    Obsolete,
}

impl Consumer for Reminders {
    const NAME: &'static str = apps::NOTIFICATION;
    const TOPIC: &'static str = REMINDERS;
    const DEAD_LETTERS: &'static str = REMINDERS_DEAD;
    const ROUTE: &'static str = "/reminders";
    type Data = ReminderEvent;
    type Outcome = Outcome;

    async fn handle(
        connection: &mut PgConnection,
        events: &[&CloudEvent<ReminderEvent>],
    ) -> Result<Vec<Outcome>, Problem> {
        let reminders: Vec<&ReminderEvent> = events.iter().map(|event| &event.data).collect();
        reminders.iter().try_for_each(|reminder| storable(reminder))?;
        let tasks = current_tasks(connection, &reminders).await?;
        let new: Vec<Option<New>> = reminders
            .iter()
            .zip(tasks)
            .map(|(reminder, current)| current.map(|(task, id)| notification(reminder, &task, id)))
            .collect();
        let stored = New::store_all(connection, new.iter().flatten()).await?;
        deliveries::plan(connection, &stored).await?;
        let stored: HashSet<Uuid> = stored.iter().map(|notification| notification.id).collect();
        let outcome = |new: &Option<New>| match new {
            None => Outcome::Obsolete,
            Some(new) if stored.contains(&new.id) => Outcome::Stored,
            Some(_) => Outcome::Duplicate,
        };
        Ok(new.iter().map(outcome).collect())
    }

    fn count(event: &CloudEvent<ReminderEvent>, outcome: Option<&Outcome>) {
        let label = match outcome {
            Some(Outcome::Stored) => "stored",
            Some(Outcome::Obsolete) => "obsolete",
            Some(Outcome::Duplicate) | None => "duplicate",
        };
        counter!("reminders_total", "outcome" => label).increment(1);
        if label == "stored" {
            // The page shows it from its time on; what is stored before that is not late.
            record_lateness("page", event.data.remind_at);
        }
    }
}

/// Records how late a reminder is at this moment. `way`: the page, or the kind of channel that has accepted it.
pub(crate) fn record_lateness(way: &'static str, remind_at: DateTime<Utc>) {
    let late = Utc::now() - remind_at;
    histogram!("reminder_lateness_seconds", "way" => way).record(late.as_seconds_f64().max(0.0));
}

/// What of the task is told.
#[derive(Clone, FromRow)]
struct CurrentTask {
    id: Uuid,
    user_id: String,
    title: String,
    due_at: Option<DateTime<Utc>>,
    due_date: Option<NaiveDate>,
    time_zone: String,
}

impl CurrentTask {
    fn due(&self) -> Option<Due> {
        self.due_at.map(Due::At).or_else(|| self.due_date.map(Due::On))
    }
}

/// The task of each reminder, if it is still open and this is still one of its reminders, with the row's id. The tasks are locked,
/// so that whoever completes one now finds the notification and takes it back. The locks may wait for somebody who is moving a
/// task; only a statement that begins after them sees which reminders are left.
async fn current_tasks(
    connection: &mut PgConnection,
    reminders: &[&ReminderEvent],
) -> Result<Vec<Option<(CurrentTask, Uuid)>>, sqlx::Error> {
    let ids: Vec<Uuid> = reminders.iter().map(|reminder| reminder.task_id).collect();
    let open: Vec<CurrentTask> = sqlx::query_as(
        "SELECT id, user_id, title, due_at, due_date, time_zone FROM tasks
         WHERE id = ANY ($1) AND deleted_at IS NULL AND completed_at IS NULL ORDER BY id FOR SHARE",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    let open: HashMap<Uuid, CurrentTask> = open.into_iter().map(|task| (task.id, task)).collect();
    let task_of =
        |reminder: &ReminderEvent| open.get(&reminder.task_id).filter(|task| task.user_id == reminder.user_id.as_str());
    let unnamed = reminders.iter().filter(|reminder| reminder.reminder_id.is_none() && task_of(reminder).is_some());
    adopt(connection, unnamed.copied()).await?;
    let scheduled = scheduled(connection, reminders).await?;
    let current =
        |(place, reminder): (usize, &&ReminderEvent)| Some((task_of(reminder)?.clone(), *scheduled.get(&place)?));
    Ok(reminders.iter().enumerate().map(current).collect())
}

/// Makes what another publisher reminds of one of the task's reminders, which is claimed by that: so it is told once, and taken back
/// with the others.
async fn adopt(
    connection: &mut PgConnection,
    reminders: impl Iterator<Item = &ReminderEvent>,
) -> Result<(), sqlx::Error> {
    let (tasks, times): (Vec<Uuid>, Vec<DateTime<Utc>>) =
        reminders.map(|reminder| (reminder.task_id, reminder.remind_at)).unzip();
    if tasks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO task_reminders (id, task_id, remind_at, claimed_at)
         SELECT gen_random_uuid(), task_id, remind_at, now()
         FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::timestamptz[]) AS told (task_id, remind_at)) AS told
         ON CONFLICT (task_id, remind_at) DO UPDATE SET claimed_at = excluded.claimed_at
             WHERE task_reminders.claimed_at IS NULL",
    )
    .bind(tasks)
    .bind(times)
    .execute(connection)
    .await
    .map(drop)
}

/// The ids of those that their tasks still have, by their places.
async fn scheduled(
    connection: &mut PgConnection,
    reminders: &[&ReminderEvent],
) -> Result<HashMap<usize, Uuid>, sqlx::Error> {
    let rows: Vec<(i64, Uuid)> = sqlx::query_as(
        "SELECT told.place, reminder.id FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
             WITH ORDINALITY AS told (id, task_id, remind_at, place)
         JOIN task_reminders AS reminder ON reminder.task_id = told.task_id AND reminder.remind_at = told.remind_at
             AND reminder.id = coalesce(told.id, reminder.id)",
    )
    .bind(reminders.iter().map(|reminder| reminder.reminder_id).collect::<Vec<_>>())
    .bind(reminders.iter().map(|reminder| reminder.task_id).collect::<Vec<_>>())
    .bind(reminders.iter().map(|reminder| reminder.remind_at).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    // PostgreSQL counts from one.
    Ok(rows.into_iter().filter_map(|(place, id)| Some((usize::try_from(place - 1).ok()?, id))).collect())
}

fn notification(reminder: &ReminderEvent, task: &CurrentTask, reminder_id: Uuid) -> New {
    New {
        id: Uuid::now_v7(),
        user_id: reminder.user_id.clone(),
        task_id: Some(reminder.task_id),
        reminder_id: Some(reminder_id),
        title: task.title.clone(),
        message: tasks::reminder_message(task.due(), task.time_zone.parse().unwrap_or(Tz::UTC)),
        method: reminder.notification_method.clone(),
        show_at: reminder.remind_at,
    }
}

/// The title is not taken from the event, only the method is.
fn storable(reminder: &ReminderEvent) -> Result<(), Problem> {
    let method = &reminder.notification_method;
    if (1..=METHOD).contains(&method.chars().count()) && !method.contains('\0') {
        return Ok(());
    }
    let message = format!("must have 1 to {METHOD} characters, without the character zero");
    Err(Problem::invalid(vec![FieldError::new("notification_method", message)]))
}
