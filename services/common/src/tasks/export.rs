//! Tasks as somebody else takes them over.

use std::collections::HashMap;

use sqlx::PgConnection;
use tokio::task::yield_now;
use uuid::Uuid;

use super::{Task, TaskError, row::Row};
use crate::recurrence;

/// Lets each rule that ends say what is left of its dates: who takes over a task, knows nothing of those before it.
pub async fn count_from_here(connection: &mut PgConnection, tasks: &mut [Task]) -> Result<(), TaskError> {
    let ends = |task: &Task| task.recurrence.as_ref().is_some_and(recurrence::ends);
    let ids: Vec<Uuid> = tasks.iter().filter(|task| ends(task)).map(|task| task.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM tasks WHERE id = ANY ($1)").bind(ids).fetch_all(connection).await?;
    let mut rows: HashMap<Uuid, Row> = rows.into_iter().map(|row| (row.task.id, row)).collect();
    for task in tasks {
        if let Some(row) = rows.remove(&task.id) {
            // Rules may take a while, and others are to have their turn.
            yield_now().await;
            task.recurrence = row.place().and_then(|place| recurrence::left_from(&place, place.due, place.zone));
        }
    }
    Ok(())
}
