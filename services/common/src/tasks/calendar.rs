//! Tasks as a calendar needs them.

use chrono_tz::Tz;
use sqlx::PgConnection;
use tokio::task::yield_now;

use super::{Due, Task, TaskError, UserId, draft::zone_of, row::Row};
use crate::recurrence;

/// An open task that is due at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct DueTask {
    /// The task.
    pub task: Task,
    /// When it is due.
    pub due: Due,
    /// The user's zone.
    pub zone: Tz,
    /// How it repeats from here on, if by a rule of the standard.
    pub rule: Option<String>,
}

impl DueTask {
    fn of(row: Row) -> Option<Self> {
        let (due, zone) = (row.task.due()?, zone_of(&row.task));
        let rule = row.place().and_then(|place| recurrence::rule_from(&place));
        Some(Self { task: row.task, due, zone, rule })
    }
}

/// This user's open tasks with a due time or day, the soonest first.
pub async fn list_due(connection: &mut PgConnection, user: &UserId, most: u32) -> Result<Vec<DueTask>, TaskError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM tasks WHERE user_id = $1 AND deleted_at IS NULL AND completed_at IS NULL
             AND (due_at IS NOT NULL OR due_date IS NOT NULL)
         ORDER BY due_sort, id LIMIT $2",
    )
    .bind(user)
    .bind(i64::from(most))
    .fetch_all(connection)
    .await?;
    let mut tasks = Vec::with_capacity(rows.len());
    for row in rows {
        // Rules may take a while, and others are to have their turn.
        yield_now().await;
        tasks.extend(DueTask::of(row));
    }
    Ok(tasks)
}
