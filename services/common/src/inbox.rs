//! Which events a consumer has handled. The mark is a part of the transaction of the effect: both or neither.

use std::time::Duration;

use metrics::counter;
use sqlx::{PgConnection, PgPool};

/// Pause between two rounds of removing old rows.
const CLEANING: Duration = Duration::from_mins(10);

/// Marks the event as handled by `consumer`. False if it was so already: then there is nothing to do.
/// A second delivery that comes while the first is in its transaction waits for its end.
pub async fn first_time(
    connection: &mut PgConnection,
    consumer: &'static str,
    event_id: &str,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query("INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(consumer)
        .bind(event_id)
        .execute(connection)
        .await?
        .rows_affected();
    if inserted == 0 {
        counter!("inbox_duplicates_total", "consumer" => consumer).increment(1);
    }
    Ok(inserted > 0)
}

/// Removes marks that are older than any redelivery (the broker keeps events for seven days). Gives their number, 1000 at
/// most.
pub async fn purge(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let old = "DELETE FROM inbox WHERE (consumer, event_id) IN
        (SELECT consumer, event_id FROM inbox WHERE received_at < now() - interval '8 days'
         ORDER BY received_at LIMIT 1000 FOR UPDATE SKIP LOCKED)";
    Ok(sqlx::query(old).execute(pool).await?.rows_affected())
}

pub(crate) async fn keep_clean(pool: &PgPool) {
    loop {
        match purge(pool).await {
            Ok(1000..) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old rows of the inbox were not removed"),
        }
        tokio::time::sleep(CLEANING).await;
    }
}
