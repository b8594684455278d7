//! `POST /reminder-cron`: the tick of Dapr's cron binding, which comes to every replica. Whoever claims a reminder sends it.
//! The backend also looks by itself, for the reminders that are set after a tick for a time before the next one.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use todo_common::{
    database::answered,
    events::{REMINDERS, ReminderEvent},
    outbox,
    problem::{Json, Problem},
    tasks::UserId,
    telemetry::trace_context,
};
use uuid::Uuid;

use crate::app::App;

/// Dapr component whose ticks come here.
pub(crate) const COMPONENT: &str = "reminder-cron";
/// Reminders of one transaction. A tick goes on until none is left.
const BATCH: i64 = 200;
/// Pause between two looks of our own: how late a reminder may be that is set for the next moment.
const PAUSE: Duration = Duration::from_secs(15);

pub(super) fn router() -> Router<App> {
    Router::new().route(&format!("/{COMPONENT}"), post(tick))
}

/// The answer to a tick.
#[derive(Debug, Serialize)]
struct Checked {
    status: &'static str,
    /// Reminders that this tick has sent on their way.
    due_tasks_count: usize,
}

async fn tick(State(app): State<App>) -> Result<Json<Checked>, Problem> {
    let count = send_due(&app).await?;
    Ok(Json(Checked { status: "checked", due_tasks_count: count }))
}

/// Sends what is due on its way until the service stops.
pub(crate) async fn run(app: App) {
    let look = async {
        loop {
            // A problem is in the log already, and the next look comes soon.
            let _ = send_due(&app).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    app.stop.run_until_cancelled(look).await;
}

/// Claims what is due in the window and gives its number.
pub(super) async fn send_due(app: &App) -> Result<usize, Problem> {
    let mut count = 0;
    loop {
        let sent = answered(Box::pin(send_batch(app))).await?;
        count += sent;
        if sent < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            break;
        }
    }
    if count > 0 {
        tracing::info!(count, "reminders are on their way");
    }
    metrics::counter!("reminders_claimed_total").increment(count as u64);
    Ok(count)
}

async fn send_batch(app: &App) -> Result<usize, Problem> {
    let mut transaction = app.database.begin().await?;
    let due = claim(&mut transaction, app.reminder_window).await?;
    let events: Result<Vec<_>, Problem> = due.iter().map(Claimed::entry).collect();
    outbox::enqueue_all(&mut transaction, REMINDERS, &events?).await?;
    app.database.commit(transaction).await?;
    Ok(due.len())
}

/// A reminder that is due, with what the event says of its task.
#[derive(Debug, FromRow)]
struct Claimed {
    reminder_id: Uuid,
    remind_at: DateTime<Utc>,
    task_id: Uuid,
    user_id: String,
    title: String,
    due_at: Option<DateTime<Utc>>,
}

impl Claimed {
    fn entry(&self) -> Result<outbox::Entry<ReminderEvent>, Problem> {
        // Users of stored tasks were checked when the tasks were made.
        let user_id = UserId::new(&self.user_id).map_err(|_| Problem::internal())?;
        let payload = ReminderEvent {
            task_id: self.task_id,
            user_id,
            title: self.title.clone(),
            due_at: self.due_at,
            remind_at: self.remind_at,
            notification_method: ReminderEvent::default_method(),
            reminder_id: Some(self.reminder_id),
        };
        Ok(outbox::Entry { partition_key: self.task_id.to_string(), payload, traceparent: trace_context::current() })
    }
}

/// Claims reminders of open tasks until the end of the window, overdue ones included. What another replica is claiming is skipped, and
/// what it has claimed is not due any more, so each is claimed once.
async fn claim(connection: &mut PgConnection, window: Duration) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as(
        "WITH due AS (
             SELECT reminder.id
             FROM task_reminders AS reminder JOIN tasks AS task ON task.id = reminder.task_id
             WHERE reminder.claimed_at IS NULL AND reminder.remind_at <= now() + make_interval(secs => $1)
               AND task.completed_at IS NULL AND task.deleted_at IS NULL AND task.user_id NOT LIKE '$%'
             ORDER BY reminder.remind_at
             LIMIT $2
             FOR UPDATE OF reminder SKIP LOCKED
         )
         UPDATE task_reminders AS reminder SET claimed_at = now()
         FROM due, tasks AS task
         WHERE reminder.id = due.id AND task.id = reminder.task_id
         RETURNING reminder.id AS reminder_id, reminder.remind_at, task.id AS task_id, task.user_id, task.title, task.due_at",
    )
    .bind(window.as_secs_f64())
    .bind(BATCH)
    .fetch_all(connection)
    .await
}
