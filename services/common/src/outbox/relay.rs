//! Publishes what is in the outbox, in order per partition key, with any number of replicas at once.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    time::{Duration, SystemTime},
};

use futures::future::join_all;
use metrics::{counter, gauge};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::{
    sync::{Mutex, Notify},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{OutboxEvent, claim, news::Waiter};
use crate::{
    dapr,
    database::{self, Database, answered},
    events::PUBSUB,
    telemetry::{
        spans::{Span, SpanKind},
        trace_context,
    },
};

/// Events that are published at the same time, each of another key. Their time limits together are one
/// [`dapr::CALL_TIMEOUT`], well below the limit of the database for an idle transaction.
pub const BATCH: i64 = 256;
/// Rounds under way at the same time: while the broker writes what one has claimed, the next takes what is committed meanwhile.
const ROUNDS: usize = 2;
/// Bytes of payload in one call of the sidecar, which takes 4 MiB. A larger event goes alone.
const CALL_BYTES: usize = 1024 * 1024;
/// Longest time without looking, because a notification can be lost and failed events become due.
const TIMER: Duration = Duration::from_millis(500);
/// Pause after a round in which nothing worked.
const PAUSE: Duration = Duration::from_millis(500);
const MEASURING: Duration = Duration::from_secs(5);
/// A longer backlog is not counted to its end.
const MEASURED: i64 = 10_000;
const CLEANING: Duration = Duration::from_secs(30);

const PUBLISHED: &str = "outbox_published_total";
const FAILURES: &str = "outbox_failures_total";

/// The edge of the relay: where events go.
pub trait Publish: Send + Sync {
    /// Publishes events of one topic, each of another key, and returns when the broker has answered for all of them. Gives
    /// why some failed, by their ids; the texts are kept with the rows. An error is about all of them.
    fn publish_events(
        &self,
        topic: &str,
        events: &[&OutboxEvent],
    ) -> impl Future<Output = Result<HashMap<Uuid, String>, String>> + Send;
}

impl Publish for dapr::Client {
    async fn publish_events(&self, topic: &str, events: &[&OutboxEvent]) -> Result<HashMap<Uuid, String>, String> {
        let ids: Vec<String> = events.iter().map(|event| event.id.to_string()).collect();
        let sent: Vec<_> = events.iter().zip(&ids).map(|(event, id)| event.for_dapr(id)).collect();
        let mut failed = self.publish(PUBSUB, topic, &sent).await.map_err(|error| error.to_string())?;
        let ours = events.iter().zip(&ids).filter_map(|(event, id)| Some((event.id, failed.remove(id)?))).collect();
        // Then it is not known which of them failed, and to publish an event twice does less harm than to lose it.
        if failed.is_empty() { Ok(ours) } else { Err("the sidecar told of events that were not sent".to_owned()) }
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
pub async fn run(database: Database, publisher: impl Publish, stop: CancellationToken) {
    for counted in [PUBLISHED, FAILURES] {
        counter!(counted).increment(0);
    }
    let Some(pool) = stop.run_until_cancelled(database.until_ready()).await else { return };
    let turn = Turn { news: Mutex::new(database.news()), done: Notify::new() };
    let rounds = (0..ROUNDS).map(|_| publish_all(&pool, &publisher, &turn, &stop));
    tokio::select! {
        // A round that has begun is finished, so that a stop does not make duplicates.
        _ = join_all(rounds) => {}
        () = measure(&pool) => {}
        () = clean(&pool) => {}
    }
}

/// Whose turn it is to look for events: rounds overlap, but not their looks, of which the second would find nothing.
struct Turn {
    news: Mutex<Waiter>,
    /// A round is over: what comes after its events can be claimed.
    done: Notify,
}

async fn publish_all(pool: &PgPool, publisher: &impl Publish, turn: &Turn, stop: &CancellationToken) {
    let mut limit = BATCH;
    while !stop.is_cancelled() {
        let pause = match answered(next(pool, publisher, limit, turn, stop)).await {
            Ok(Round { failed: 1.., published: 0 }) => {
                // One event is enough to find out that the broker is back, and the others need not wait for another try then.
                limit = 1;
                Some(PAUSE)
            }
            Ok(Round { published: 1.., .. }) => {
                limit = BATCH;
                None
            }
            Ok(Round { .. }) => None,
            Err(error) => {
                tracing::warn!(%error, "the relay cannot use the database");
                Some(PAUSE)
            }
        };
        if let Some(pause) = pause {
            stop.run_until_cancelled(sleep(pause)).await;
        }
    }
}

/// A round as soon as there is something to publish; an empty one after a while without.
async fn next(
    pool: &PgPool,
    publisher: &impl Publish,
    limit: i64,
    turn: &Turn,
    stop: &CancellationToken,
) -> Result<Round, sqlx::Error> {
    let mut news = turn.news.lock().await;
    let claimed = Claimed::of(pool, limit).await?;
    if claimed.events.is_empty() {
        claimed.transaction.rollback().await?;
        tokio::select! {
            () = stop.cancelled() => {}
            () = turn.done.notified() => {}
            _ = news.wait(TIMER) => {}
        }
        return Ok(Round::default());
    }
    drop(news);
    let round = claimed.publish(publisher).await;
    turn.done.notify_one();
    round
}

/// Claims up to `limit` events, publishes and marks them, once.
pub async fn round(pool: &PgPool, publisher: &impl Publish, limit: i64) -> Result<Round, sqlx::Error> {
    Claimed::of(pool, limit).await?.publish(publisher).await
}

/// Events that nobody else publishes while the transaction goes on.
struct Claimed {
    transaction: Transaction<'static, Postgres>,
    events: Vec<OutboxEvent>,
    /// Of the round.
    span: Span,
}

impl Claimed {
    async fn of(pool: &PgPool, limit: i64) -> Result<Self, sqlx::Error> {
        let begun = SystemTime::now();
        let mut transaction = database::begin(pool, claim::BEGIN).await?;
        let events = claim::claim(&mut transaction, limit).await?;
        let traces = events.iter().filter_map(|event| event.traceparent.as_deref());
        let span = Span::of_several(SpanKind::Internal, "relay", traces, begun);
        Ok(Self { transaction, events, span })
    }

    /// Publishes and marks them.
    async fn publish(self, publisher: &impl Publish) -> Result<Round, sqlx::Error> {
        let Self { mut transaction, events, mut span } = self;
        let failed = publish(publisher, &events, span.traceparent().as_deref()).await;
        let acknowledged: Vec<Uuid> =
            events.iter().map(|event| event.id).filter(|id| !failed.contains_key(id)).collect();
        claim::mark_published(&mut transaction, &acknowledged).await?;
        claim::mark_failed(&mut transaction, &failed).await?;
        transaction.commit().await?;
        note(&mut span, events.len(), failed.len());
        drop(span);
        let counted = |has_failed: bool| {
            let counted =
                events.iter().filter(|event| failed.contains_key(&event.id) == has_failed && !event.is_canary());
            counted.count() as u64
        };
        counter!(PUBLISHED).increment(counted(false));
        if let Some((event_id, error)) = failed.iter().next() {
            counter!(FAILURES).increment(counted(true));
            tracing::warn!(%event_id, error, failed = failed.len(), "events could not be published and will be tried again");
        }
        Ok(Round { published: acknowledged.len(), failed: failed.len() })
    }
}

/// Publishes all and gives why some failed. `trace`: that of the batch.
async fn publish(publisher: &impl Publish, events: &[OutboxEvent], trace: Option<&str>) -> HashMap<Uuid, String> {
    let calls = calls(events).into_iter().map(async |call| {
        let topic = &call[0].topic;
        let mut span = Span::of_several(SpanKind::Producer, "publish", trace, SystemTime::now());
        let own = span.traceparent();
        let result = trace_context::scope(own.as_deref(), publisher.publish_events(topic, &call)).await;
        let failed = result
            .unwrap_or_else(|error| call.iter().map(|event| (event.id, error.clone())).collect::<HashMap<_, _>>());
        span.set("messaging.operation.type", "send");
        span.set("messaging.destination.name", topic.clone());
        note(&mut span, call.len(), failed.len());
        failed
    });
    join_all(calls).await.into_iter().flatten().collect()
}

/// What a span says of its events.
fn note(span: &mut Span, all: usize, failed: usize) {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    span.set("messaging.batch.message_count", number(all));
    if failed > 0 {
        span.set("todoplatform.failed", number(failed));
        span.fail();
    }
}

/// What goes into one call: events of one topic, up to [`CALL_BYTES`]. None is empty.
fn calls(events: &[OutboxEvent]) -> Vec<Vec<&OutboxEvent>> {
    let mut by_topic: BTreeMap<&str, Vec<(usize, Vec<&OutboxEvent>)>> = BTreeMap::new();
    for event in events {
        let bytes = event.payload.to_string().len();
        let calls = by_topic.entry(&event.topic).or_default();
        match calls.last_mut() {
            Some((used, call)) if *used + bytes <= CALL_BYTES => {
                *used += bytes;
                call.push(event);
            }
            _ => calls.push((bytes, vec![event])),
        }
    }
    by_topic.into_values().flatten().map(|(_, call)| call).collect()
}

/// How many events wait (of the oldest [`MEASURED`]), and since when. The canary's do not count.
async fn measure(pool: &PgPool) {
    loop {
        let measured = sqlx::query_as(
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
             FROM (SELECT created_at, payload FROM outbox WHERE published_at IS NULL ORDER BY seq LIMIT $1) AS waiting
             WHERE payload ->> 'user_id' IS DISTINCT FROM '$canary'",
        )
        .bind(MEASURED)
        .fetch_one(pool);
        let waiting: Result<(i64, f64), sqlx::Error> = answered(measured).await;
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
        match answered(purge_published(pool)).await {
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
