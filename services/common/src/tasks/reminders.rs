//! The table `task_reminders`: when to remind, as instants.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Task, draft::Draft};

/// Adds the reminders of an open task. Those up to `told_until` are done with, now and after later changes.
pub(super) async fn schedule(
    connection: &mut PgConnection,
    task: &Task,
    told_until: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    schedule_all(connection, [task].into_iter(), told_until).await
}

/// The same of several tasks.
pub(super) async fn schedule_all(
    connection: &mut PgConnection,
    tasks: impl Iterator<Item = &Task>,
    told_until: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    let of_task =
        |task: &Task| Draft::of(task).reminder_times().into_iter().map(|time| (task.id, time)).collect::<Vec<_>>();
    let (task_ids, times): (Vec<Uuid>, Vec<DateTime<Utc>>) = tasks.flat_map(of_task).unzip();
    if times.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = times.iter().map(|_| Uuid::now_v7()).collect();
    sqlx::query(
        "INSERT INTO task_reminders (id, task_id, remind_at, claimed_at)
         SELECT id, task_id, remind_at, CASE WHEN remind_at <= $4 THEN $4 END
         FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS new (id, task_id, remind_at)
         ON CONFLICT (task_id, remind_at) DO NOTHING",
    )
    .bind(ids)
    .bind(task_ids)
    .bind(times)
    .bind(told_until)
    .execute(connection)
    .await
    .map(drop)
}

/// Makes the rows match a changed task. Those that stay keep whether they were claimed, so they are not told again.
pub(super) async fn reschedule(connection: &mut PgConnection, task: &Task) -> Result<(), sqlx::Error> {
    // With the notifications that wait for their time because of them.
    sqlx::query(
        "WITH removed AS (DELETE FROM task_reminders WHERE task_id = $1 AND remind_at <> ALL ($2) RETURNING id)
         DELETE FROM notifications USING removed
         WHERE reminder_id = removed.id AND visible_at > clock_timestamp()",
    )
    .bind(task.id)
    .bind(Draft::of(task).reminder_times())
    .execute(&mut *connection)
    .await?;
    schedule(connection, task, None).await
}

/// Takes back what was not shown yet, of a task that is completed or deleted.
pub(super) async fn retract(connection: &mut PgConnection, task_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH removed AS (DELETE FROM task_reminders
             WHERE task_id = $1 AND (claimed_at IS NULL OR remind_at > clock_timestamp()) RETURNING id)
         DELETE FROM notifications USING removed
         WHERE reminder_id = removed.id AND visible_at > clock_timestamp()",
    )
    .bind(task_id)
    .execute(connection)
    .await
    .map(drop)
}
