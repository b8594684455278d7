//! `POST /job/next-reminder`: precise reminders. A job of Dapr's scheduler is set to the moment of the next reminder that
//! nobody has claimed, so that none is late by the pause between two looks. All replicas set the same job, it calls one of
//! them, and the claim decides as for a tick.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::post};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use todo_common::{database::answered, problem::Problem};

use super::reminder_cron::send_due;
use crate::app::App;

const JOB: &str = "next-reminder";
/// Longest time without looking for the next one, because news can be lost and the scheduler can be away.
const TIMER: Duration = Duration::from_secs(30);

pub(super) fn router() -> Router<App> {
    Router::new().route(&format!("/job/{JOB}"), post(due))
}

async fn due(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let count = send_due(&app).await?;
    Ok(Json(json!({"due_tasks_count": count})))
}

/// Sets the job whenever another reminder is the next one, until the service stops.
pub(crate) async fn run(app: App) {
    let Some(pool) = app.stop.run_until_cancelled(app.database.until_ready()).await else { return };
    let mut news = app.database.news();
    let plan = async {
        let mut set = None;
        loop {
            // A problem is in the log already; until the next look there are ticks.
            if let Ok(next) = answered(next(&pool)).await.map_err(Problem::from)
                && next != set
            {
                set = set_job(&app, next).await;
            }
            news.wait(TIMER).await;
        }
    };
    app.stop.run_until_cancelled(plan).await;
}

/// What is overdue is not waited for. The first one in order, and no minimum: that would be one of all that wait.
const NEXT: &str = "
    SELECT reminder.remind_at FROM task_reminders AS reminder JOIN tasks AS task ON task.id = reminder.task_id
    WHERE reminder.claimed_at IS NULL AND reminder.remind_at > now()
      AND task.completed_at IS NULL AND task.deleted_at IS NULL AND task.user_id NOT LIKE '$%'
    ORDER BY reminder.remind_at LIMIT 1";

/// The moment of the next reminder that a claim would take.
async fn next(pool: &PgPool) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(NEXT).fetch_optional(pool).await
}

/// Gives the moment that it is set to. Without a next reminder the job stays as it is: to be called once more does no harm.
async fn set_job(app: &App, next: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match app.dapr.set_job(JOB, next?).await {
        Ok(()) => next,
        Err(error) => {
            tracing::warn!(error = error.outline(), "no job is set for the next reminder; ticks will find it");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::with_backend;

    #[tokio::test]
    async fn the_next_reminder_is_found_without_a_look_at_the_others() {
        with_backend(async |backend| {
            for statement in [
                "INSERT INTO tasks (id, user_id, title, due_sort, created_at, updated_at)
                 SELECT gen_random_uuid(), 'ada', 'a', now(), now(), now() FROM generate_series(1, 20000)",
                "INSERT INTO task_reminders SELECT gen_random_uuid(), id, now() + random() * interval '9 days' FROM tasks",
                "ANALYZE tasks",
                "ANALYZE task_reminders",
            ] {
                sqlx::query(statement).execute(&backend.pool).await.unwrap();
            }
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {NEXT}"));
            let plan: Value = sqlx::query_scalar(explain).fetch_one(&backend.pool).await.unwrap();
            let pages = |key: &str| plan[0]["Plan"][key].as_i64().unwrap();
            let pages = pages("Shared Hit Blocks") + pages("Shared Read Blocks");
            assert!(pages < 50, "{pages} pages");
            assert!(next(&backend.pool).await.unwrap().is_some());
        })
        .await;
    }
}
