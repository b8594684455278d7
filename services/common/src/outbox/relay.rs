//! Publishes what is in the outbox, in order per partition key, with any number of replicas at once.

use std::{future::Future, time::Duration};

use futures::future::join_all;
use metrics::{counter, gauge};
use sqlx::PgPool;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{OutboxEvent, claim, wake::Waker};
use crate::{dapr, events::PUBSUB, telemetry::trace_context};

/// Events that are published at the same time, each of another key. Their time limits together are one
/// [`dapr::CALL_TIMEOUT`], well below the limit of the database for an idle transaction.
const BATCH: i64 = 64;
/// Longest time without looking, because a notification can be lost and failed events become due.
const TIMER: Duration = Duration::from_millis(500);
/// Pause after a round in which nothing worked.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest round: longer than a batch may take, for a database whose host is gone without a word.
const ROUND_LIMIT: Duration = Duration::from_secs(30);
const MEASURING: Duration = Duration::from_secs(5);
/// A longer backlog is not counted to its end.
const MEASURED: i64 = 10_000;
const CLEANING: Duration = Duration::from_secs(30);

/// The edge of the relay: where events go.
pub trait Publish: Send + Sync {
    /// Returns when the broker has acknowledged the event. The text of an error is kept with the row.
    fn publish_event(&self, event: &OutboxEvent) -> impl Future<Output = Result<(), String>> + Send;
}

impl Publish for dapr::Client {
    async fn publish_event(&self, event: &OutboxEvent) -> Result<(), String> {
        let id = event.id.to_string();
        let publish = self.publish(PUBSUB, &event.topic, &id, &event.partition_key, &event.payload);
        trace_context::scope(event.traceparent.as_deref(), publish).await.map_err(|error| error.to_string())
    }
}

/// What a round has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Acknowledged and marked.
    pub published: usize,
    /// To be tried again.
    pub failed: usize,
}

/// Publishes until `stop`. An event is marked after the broker's acknowledgement: it may be published twice, with the
/// same id, but is never lost.
pub async fn run(pool: PgPool, publisher: impl Publish, stop: CancellationToken) {
    tokio::select! {
        // A round that has begun is finished, so that a stop does not make duplicates.
        () = publish_all(&pool, &publisher, &stop) => {}
        () = measure(&pool) => {}
        () = clean(&pool) => {}
    }
}

async fn publish_all(pool: &PgPool, publisher: &impl Publish, stop: &CancellationToken) {
    let mut waker = Waker::new(pool.clone());
    while !stop.is_cancelled() {
        let pause = match timeout(ROUND_LIMIT, round(pool, publisher)).await {
            Ok(Ok(Round { published: 1.., .. })) => continue,
            Ok(Ok(Round { failed: 0, .. })) => None,
            Ok(Ok(_)) => Some(PAUSE),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the relay cannot use the database");
                Some(PAUSE)
            }
            Err(_) => {
                tracing::warn!("the relay gets no answer from the database");
                Some(PAUSE)
            }
        };
        let rest = async {
            match pause {
                Some(pause) => sleep(pause).await,
                None => waker.wait(TIMER).await,
            }
        };
        stop.run_until_cancelled(rest).await;
    }
}

/// Claims, publishes and marks once.
pub async fn round(pool: &PgPool, publisher: &impl Publish) -> Result<Round, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let events = claim::claim(&mut transaction, BATCH).await?;
    let results = join_all(events.iter().map(|event| publisher.publish_event(event))).await;
    let (mut acknowledged, mut failed) = (Vec::new(), Vec::new());
    let (mut published_total, mut failures_total) = (0, 0);
    for (event, result) in events.iter().zip(results) {
        let counts = u64::from(!event.is_canary());
        match result {
            Ok(()) => {
                published_total += counts;
                acknowledged.push(event.id);
            }
            Err(error) => {
                failures_total += counts;
                failed.push((event.id, error));
            }
        }
    }
    claim::mark_published(&mut transaction, &acknowledged).await?;
    claim::mark_failed(&mut transaction, &failed).await?;
    transaction.commit().await?;
    counter!("outbox_published_total").increment(published_total);
    if let Some((event_id, error)) = failed.first() {
        counter!("outbox_failures_total").increment(failures_total);
        tracing::warn!(%event_id, error, failed = failed.len(), "events could not be published and will be tried again");
    }
    Ok(Round { published: acknowledged.len(), failed: failed.len() })
}

/// How many events wait (of the oldest [`MEASURED`]), and since when. The canary's do not count.
async fn measure(pool: &PgPool) {
    loop {
        let waiting: Result<(i64, f64), _> = sqlx::query_as(
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
             FROM (SELECT created_at, payload FROM outbox WHERE published_at IS NULL ORDER BY seq LIMIT $1) AS waiting
             WHERE payload ->> 'user_id' IS DISTINCT FROM '$canary'",
        )
        .bind(MEASURED)
        .fetch_one(pool)
        .await;
        if let Ok((events, age)) = waiting {
            #[expect(clippy::cast_precision_loss, reason = "2^52 events do not fit into the database")]
            gauge!("outbox_waiting_events").set(events as f64);
            gauge!("outbox_oldest_age_seconds").set(age.max(0.0));
        }
        sleep(MEASURING).await;
    }
}

/// Removes what was published a while ago; until then it helps to find out what happened.
async fn clean(pool: &PgPool) {
    loop {
        match purge_published(pool).await {
            Ok(1000..) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "published events were not removed from the outbox"),
        }
        sleep(CLEANING).await;
    }
}

async fn purge_published(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let old = "DELETE FROM outbox WHERE id IN
        (SELECT id FROM outbox WHERE published_at < now() - interval '15 minutes' ORDER BY published_at LIMIT 1000 FOR UPDATE SKIP LOCKED)";
    Ok(sqlx::query(old).execute(pool).await?.rows_affected())
}
