//! What needs a database to be shown.

mod consumer;
mod dapr;
mod database;
mod dead_letters;
mod feed;
mod lists;
mod occurrences;
mod outbox;
mod reminders;
mod server;
mod taken_back;
mod tasks;

use serde_json::Value;
use sqlx::PgPool;

use crate::{
    events::{EventType, TaskEvent},
    tasks::UserId,
};

fn ada() -> UserId {
    UserId::new("ada").unwrap()
}

/// The task events in the outbox, in order.
async fn events(pool: &PgPool) -> Vec<TaskEvent> {
    let payloads: Vec<Value> =
        sqlx::query_scalar("SELECT payload FROM outbox ORDER BY seq").fetch_all(pool).await.unwrap();
    payloads.into_iter().map(|payload| serde_json::from_value(payload).unwrap()).collect()
}

async fn event_types(pool: &PgPool) -> Vec<EventType> {
    events(pool).await.into_iter().map(|event| event.event_type).collect()
}

async fn count(pool: &PgPool, table: &'static str) -> i64 {
    let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}
