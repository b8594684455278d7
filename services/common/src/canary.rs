//! The canary: a task of a reserved user that goes the whole way, API → outbox → broker → consumer → database.
//! The backend sends it and waits for its arrival; recurring-task-service marks that. Its rows are removed again.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::tasks::{self, NewTask, TaskError, UserId};

/// Channel of LISTEN/NOTIFY on which an arrival is told, with the task's id as payload.
pub const CHANNEL: &str = "canary";

/// Creates the canary's task through the same function as any other, in the caller's transaction.
pub async fn send(connection: &mut PgConnection) -> Result<Uuid, TaskError> {
    let task = tasks::create(&mut *connection, &UserId::canary(), NewTask::titled("canary")).await?;
    sqlx::query("INSERT INTO canary (task_id) VALUES ($1)").bind(task.id).execute(connection).await?;
    Ok(task.id)
}

/// Marks arrivals, in the consumer's transaction. One that is purged already is left alone; to do it again changes nothing,
/// so a consumer needs no mark in its inbox.
pub async fn mark_arrived(connection: &mut PgConnection, task_ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH arrived AS (UPDATE canary SET arrived_at = clock_timestamp() WHERE task_id = ANY ($1) AND arrived_at IS NULL RETURNING task_id)
         SELECT pg_notify($2, task_id::text) FROM arrived",
    )
    .bind(task_ids)
    .bind(CHANNEL)
    .execute(connection)
    .await
    .map(drop)
}

/// When it arrived, or nothing.
pub async fn arrived_at(pool: &PgPool, task_id: Uuid) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let row: Option<Option<DateTime<Utc>>> = sqlx::query_scalar("SELECT arrived_at FROM canary WHERE task_id = $1")
        .bind(task_id)
        .fetch_optional(pool)
        .await?;
    Ok(row.flatten())
}

/// Removes the rows of canaries that were sent before `before`: what a replica that died has left. Gives their number,
/// 200 at most.
pub async fn purge_sent_before(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let old: Vec<Uuid> = sqlx::query_scalar("SELECT task_id FROM canary WHERE sent_at < $1 LIMIT 200")
        .bind(before)
        .fetch_all(&mut *connection)
        .await?;
    purge(connection, &old).await?;
    Ok(old.len())
}

/// Removes every row of these canaries.
pub async fn purge(connection: &mut PgConnection, task_ids: &[Uuid]) -> Result<(), sqlx::Error> {
    for statement in [
        "DELETE FROM outbox WHERE partition_key = ANY (ARRAY(SELECT unnest($1::uuid[])::text))",
        "DELETE FROM tasks WHERE id = ANY ($1) AND user_id = '$canary'",
        "DELETE FROM canary WHERE task_id = ANY ($1)",
    ] {
        sqlx::query(statement).bind(task_ids).execute(&mut *connection).await?;
    }
    Ok(())
}
