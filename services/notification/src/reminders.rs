//! `POST /reminders`: the subscription of topic `reminders`.

use chrono::{DateTime, NaiveDate, Utc};
use metrics::{counter, histogram};
use sqlx::{FromRow, PgConnection};
use todo_common::{
    consumer::Consumer,
    events::{CloudEvent, REMINDERS, REMINDERS_DEAD, ReminderEvent},
    problem::{FieldError, Problem},
};

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
    const NAME: &'static str = "notification-service";
    const TOPIC: &'static str = REMINDERS;
    const DEAD_LETTERS: &'static str = REMINDERS_DEAD;
    const ROUTE: &'static str = "/reminders";
    type Data = ReminderEvent;
    type Outcome = Outcome;

    async fn handle(connection: &mut PgConnection, event: &CloudEvent<ReminderEvent>) -> Result<Outcome, Problem> {
        let reminder = &event.data;
        storable(reminder)?;
        let Some(task) = current_task(connection, reminder).await? else { return Ok(Outcome::Obsolete) };
        let Some(stored) = notification(reminder, &task).store(connection).await? else {
            return Ok(Outcome::Duplicate);
        };
        deliveries::plan(connection, &stored).await?;
        Ok(Outcome::Stored)
    }

    fn count(event: &CloudEvent<ReminderEvent>, outcome: Option<&Outcome>) {
        let label = match outcome {
            Some(Outcome::Stored) => "stored",
            Some(Outcome::Obsolete) => "obsolete",
            Some(Outcome::Duplicate) | None => "duplicate",
        };
        counter!("reminders_total", "outcome" => label).increment(1);
        if label == "stored" {
            let late = Utc::now() - event.data.remind_at;
            histogram!("reminder_lateness_seconds").record(late.as_seconds_f64().max(0.0));
        }
    }
}

/// What of the task is told.
#[derive(FromRow)]
struct CurrentTask {
    title: String,
    due_at: Option<DateTime<Utc>>,
    due_date: Option<NaiveDate>,
    time_zone: String,
}

/// The task, if it is still open and this is still one of its reminders. It is locked, so that whoever completes it now
/// finds the notification and takes it back. The lock may wait for somebody who is moving the task; only a statement that
/// begins after it sees which reminders are left.
async fn current_task(
    connection: &mut PgConnection,
    reminder: &ReminderEvent,
) -> Result<Option<CurrentTask>, sqlx::Error> {
    let task: Option<CurrentTask> = sqlx::query_as(
        "SELECT title, due_at, due_date, time_zone FROM tasks
         WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL AND completed_at IS NULL FOR SHARE",
    )
    .bind(reminder.task_id)
    .bind(&reminder.user_id)
    .fetch_optional(&mut *connection)
    .await?;
    let is_current = task.is_some() && is_scheduled(connection, reminder).await?;
    Ok(task.filter(|_| is_current))
}

/// Whether the task still has this reminder. One without id is believed.
async fn is_scheduled(connection: &mut PgConnection, reminder: &ReminderEvent) -> Result<bool, sqlx::Error> {
    let Some(id) = reminder.reminder_id else { return Ok(true) };
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM task_reminders WHERE id = $1 AND task_id = $2 AND remind_at = $3)")
        .bind(id)
        .bind(reminder.task_id)
        .bind(reminder.remind_at)
        .fetch_one(connection)
        .await
}

fn notification(reminder: &ReminderEvent, task: &CurrentTask) -> New {
    New {
        user_id: reminder.user_id.clone(),
        task_id: Some(reminder.task_id),
        reminder_id: reminder.reminder_id,
        title: task.title.clone(),
        message: message(task),
        method: reminder.notification_method.clone(),
        show_at: reminder.remind_at,
    }
}

fn message(task: &CurrentTask) -> String {
    match (task.due_at, task.due_date) {
        (Some(at), _) => {
            let zone = task.time_zone.parse().unwrap_or(chrono_tz::Tz::UTC);
            format!("Due {} ({zone})", at.with_timezone(&zone).format("%Y-%m-%d %H:%M"))
        }
        (None, Some(day)) => format!("Due {day}"),
        (None, None) => "Reminder".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_the_time_in_the_users_zone() {
        let task = |due_at: Option<&str>, due_date: Option<&str>| CurrentTask {
            title: String::new(),
            due_at: due_at.map(|text| text.parse().unwrap()),
            due_date: due_date.map(|text| text.parse().unwrap()),
            time_zone: "Europe/Berlin".to_owned(),
        };
        assert_eq!(message(&task(Some("2026-03-29T07:00:00Z"), None)), "Due 2026-03-29 09:00 (Europe/Berlin)");
        assert_eq!(message(&task(None, Some("2026-03-29"))), "Due 2026-03-29");
        assert_eq!(message(&task(None, None)), "Reminder");
    }
}
