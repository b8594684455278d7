//! The table `task_reminders`: when to remind, as instants.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Due, Task,
    draft::{Draft, zone_of},
};

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

/// Lets the notifications that wait for their time say what the task is by now. One that is stored later reads the task then.
pub(super) async fn reword(connection: &mut PgConnection, task: &Task) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE notifications SET title = $2, message = $3
         WHERE task_id = $1 AND reminder_id IS NOT NULL AND visible_at > clock_timestamp()",
    )
    .bind(task.id)
    .bind(&task.title)
    .bind(reminder_message(task.due(), zone_of(task)))
    .execute(connection)
    .await
    .map(drop)
}

/// What a reminder says beside the title.
pub fn reminder_message(due: Option<Due>, zone: Tz) -> String {
    match due {
        Some(Due::At(at)) => format!("Due {} ({zone})", at.with_timezone(&zone).format("%Y-%m-%d %H:%M")),
        Some(Due::On(day)) => format!("Due {day}"),
        None => "Reminder".to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;

    use super::*;

    #[test]
    fn the_message_says_the_time_in_the_users_zone() {
        let at = Due::At("2026-03-29T07:00:00Z".parse().unwrap());
        assert_eq!(reminder_message(Some(at), Berlin), "Due 2026-03-29 09:00 (Europe/Berlin)");
        assert_eq!(reminder_message(Some(Due::On("2026-03-29".parse().unwrap())), Berlin), "Due 2026-03-29");
        assert_eq!(reminder_message(None, Berlin), "Reminder");
    }
}
