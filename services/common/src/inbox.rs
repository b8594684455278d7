//! Which events a consumer has handled. The mark is a part of the transaction of the effect: both or neither.

use std::collections::HashSet;

use metrics::{Counter, counter};
use sqlx::PgConnection;

/// Events that came to `consumer` once more.
pub(crate) fn duplicates(consumer: &'static str) -> Counter {
    counter!("inbox_duplicates_total", "consumer" => consumer)
}

/// Marks events as handled by `consumer` and gives those that were not so before: the others need nothing to be done.
/// A second delivery that comes while the first is in its transaction waits for its end.
pub async fn mark(
    connection: &mut PgConnection,
    consumer: &'static str,
    mut event_ids: Vec<&str>,
) -> Result<HashSet<String>, sqlx::Error> {
    if event_ids.is_empty() {
        return Ok(HashSet::new());
    }
    // Always in the same order: deliveries that overlap wait for each other and do not lock each other up.
    event_ids.sort_unstable();
    let new: Vec<String> = sqlx::query_scalar(
        "INSERT INTO inbox (consumer, event_id) SELECT $1, event_id FROM unnest($2::text[]) AS event_id
         ON CONFLICT DO NOTHING RETURNING event_id",
    )
    .bind(consumer)
    .bind(event_ids)
    .fetch_all(connection)
    .await?;
    Ok(new.into_iter().collect())
}
