//! Sends what is due, and removes what is old.

use std::time::Duration;

use metrics::gauge;
use sqlx::PgPool;
use todo_common::database::{self, Database, answered};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{attempt, claim};
use crate::senders::Senders;

/// Deliveries that are on their way at the same time, each of another channel.
const AT_ONCE: usize = 32;
/// Longest time until something that is due is seen.
const TIMER: Duration = Duration::from_secs(1);
const MEASURING: Duration = Duration::from_secs(15);
const CLEANING: Duration = Duration::from_mins(10);
/// Rows that are removed by one statement.
const PART: i64 = 1000;

/// Sends until `stop`; what is on its way then is finished.
pub(crate) async fn run(database: Database, senders: Senders, stop: CancellationToken) {
    attempt::count_from_zero();
    let Some(pool) = stop.run_until_cancelled(database.until_ready()).await else { return };
    tokio::select! {
        () = send_all(&pool, &senders, &stop) => {}
        () = measure(&pool) => {}
        () = clean(&pool) => {}
    }
}

async fn send_all(pool: &PgPool, senders: &Senders, stop: &CancellationToken) {
    let mut under_way = JoinSet::new();
    while !stop.is_cancelled() {
        if let Err(error) = answered(start(pool, senders, &mut under_way)).await {
            tracing::warn!(%error, "deliveries cannot be claimed");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            // Its channel may have more.
            Some(_) = under_way.join_next() => {}
            () = sleep(TIMER) => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// Claims as many as there is room for.
async fn start(pool: &PgPool, senders: &Senders, under_way: &mut JoinSet<()>) -> Result<(), sqlx::Error> {
    let room = AT_ONCE - under_way.len().min(AT_ONCE);
    if room == 0 {
        return Ok(());
    }
    let mut transaction = database::begin(pool, claim::BEGIN).await?;
    let all = claim::claim(&mut transaction, i64::try_from(room).unwrap_or_default()).await?;
    transaction.commit().await?;
    for claimed in all {
        let (pool, senders) = (pool.clone(), senders.clone());
        under_way.spawn(async move { attempt::run(&pool, &senders, claimed).await });
    }
    Ok(())
}

/// One round to its end, for tests.
#[cfg(test)]
pub(crate) async fn round(pool: &PgPool, senders: &Senders) {
    let mut under_way = JoinSet::new();
    start(pool, senders, &mut under_way).await.expect("the database of the test is there");
    under_way.join_all().await;
}

async fn measure(pool: &PgPool) {
    loop {
        let due = "SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'waiting' AND next_attempt_at <= now() LIMIT 10000) AS due";
        if let Ok(due) = answered(sqlx::query_scalar::<_, i64>(due).fetch_one(pool)).await {
            #[expect(clippy::cast_precision_loss, reason = "it is 10000 at most")]
            gauge!("notification_deliveries_due").set(due as f64);
        }
        sleep(MEASURING).await;
    }
}

async fn clean(pool: &PgPool) {
    loop {
        match answered(purge(pool)).await {
            Ok(removed) if removed >= PART.unsigned_abs() => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old notifications and deliveries were not removed"),
        }
        sleep(CLEANING).await;
    }
}

/// Removes deliveries that ended 30 days ago and notifications of 90 days ago, the latter with their deliveries. Gives the
/// larger of both numbers, [`PART`] at most.
pub(crate) async fn purge(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let deliveries = "DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE created_at < now() - interval '30 days' AND state <> 'waiting'
        ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)";
    let notifications = "DELETE FROM notifications WHERE id IN (
        SELECT id FROM notifications WHERE visible_at < now() - interval '90 days'
        ORDER BY visible_at LIMIT $1 FOR UPDATE SKIP LOCKED)";
    let deliveries = sqlx::query(deliveries).bind(PART).execute(pool).await?.rows_affected();
    let notifications = sqlx::query(notifications).bind(PART).execute(pool).await?.rows_affected();
    Ok(deliveries.max(notifications))
}
