//! How a service handles the events of its topic: in batches, as the sidecar posts them, each batch in one transaction with
//! the marks of its events in the inbox. What can never be handled goes to the dead-letter topic and holds up nothing.

mod apply;
mod delivery;

use std::future::Future;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use futures::future::join_all;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

pub use apply::Limits;
pub(crate) use apply::apply;
use apply::{Verdict, judge};
use delivery::{Delivery, Entry, Statuses};

use crate::{
    dapr,
    database::Database,
    dead_letters,
    events::{CloudEvent, PUBSUB, Reply, Subscription},
    inbox,
    problem::Problem,
};

/// Events of one batch, which is one call and one transaction.
const BATCH: u32 = 100;
/// How long events are collected, in milliseconds. Dapr looks at the clock at this pace, so each event waits for half of it.
const COLLECTING: u32 = 10;
/// A shorter batch is not worth a second transaction.
const LANE: usize = 8;
/// Transactions side by side; the connections are for others, too.
const MOST_LANES: usize = 4;
/// Largest body: some large events, or very many small ones. Of what does not fit, each event gets here by itself in the
/// end, by the dead-letter topic.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// What a service does with the events of its topic.
pub trait Consumer: Send + Sync + 'static {
    /// Its name in the inbox.
    const NAME: &'static str;
    /// Where the events come from.
    const TOPIC: &'static str;
    /// Where those go that cannot be handled.
    const DEAD_LETTERS: &'static str;
    /// Route that the sidecar posts to.
    const ROUTE: &'static str;
    /// How long its work may take.
    const LIMITS: Limits = Limits::USUAL;
    /// Payload.
    type Data: DeserializeOwned + Send + Sync + 'static;
    /// What became of an event.
    type Outcome: Send;

    /// Whether to do it twice would do harm: then the inbox keeps that it was done.
    fn is_marked(_data: &Self::Data) -> bool {
        true
    }

    /// The effects of some events, each in a statement for all of them, in the transaction of their marks: what became of
    /// each, in their order. A problem that is not "away" means that one of them can never be done: then each comes alone, as it does
    /// where this panics or takes too long.
    fn handle(
        connection: &mut PgConnection,
        events: &[&CloudEvent<Self::Data>],
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, Problem>> + Send;

    /// Counts what is committed. Without an outcome it had been handled before.
    fn count(event: &CloudEvent<Self::Data>, outcome: Option<&Self::Outcome>);
}

/// What the sidecar is to deliver to a consumer.
pub const fn subscriptions<C: Consumer>() -> [Subscription; 2] {
    [
        Subscription::new(C::TOPIC, C::ROUTE).with_dead_letters(C::DEAD_LETTERS).in_batches(BATCH, COLLECTING),
        dead_letters::subscription::<C>(),
    ]
}

/// The routes of a consumer, for the sidecar alone.
pub fn router<C: Consumer>(database: Database, dapr: dapr::Client) -> Router {
    inbox::duplicates(C::NAME).increment(0);
    Router::new()
        .route(C::ROUTE, post(receive::<C>))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state((database.clone(), dapr))
        .merge(dead_letters::router::<C>(database))
}

async fn receive<C: Consumer>(
    State((database, dapr)): State<(Database, dapr::Client)>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let delivery = match body {
        Ok(body) => Delivery::parse(&body),
        Err(rejection) => return untaken(&rejection).into_response(),
    };
    match delivery {
        Ok(Delivery::Batch(entries)) => Statuses(batch::<C>(&database, &dapr, entries).await).into_response(),
        Ok(Delivery::One(event)) => match judge::<C>(&database, [("", event)]).await[..] {
            [Verdict::Handled] => Reply::Success,
            [Verdict::Impossible] => Reply::Drop,
            _ => Reply::Retry,
        }
        .into_response(),
        Err(error) => {
            // Only where and what kind: serde's own text quotes the payload.
            tracing::warn!(line = error.line(), column = error.column(), "an event is no JSON and is dropped");
            Reply::Drop.into_response()
        }
    }
}

fn untaken(rejection: &BytesRejection) -> Reply {
    tracing::warn!(error = %rejection, "the body of an event cannot be taken");
    // For a batch the sidecar finds no status in either, and tries again.
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { Reply::Drop } else { Reply::Retry }
}

/// What cannot be handled is sent to the dead-letter topic from here: told to drop an event of a batch, the sidecar forgets
/// it when that fails, and takes another event for it, or panics, when a part of the batch is tried again (1.16 to 1.18,
/// `DeliverBulk`).
async fn batch<C: Consumer>(database: &Database, dapr: &dapr::Client, entries: Vec<Entry>) -> Vec<(String, Reply)> {
    let lanes = lanes(&entries);
    let judged = lanes.iter().map(|lane| {
        let delivered = lane.iter().map(|place| &entries[*place]).map(|entry| (&entry.key[..], entry.event.clone()));
        judge::<C>(database, delivered)
    });
    let mut verdicts = vec![Verdict::Later; entries.len()];
    for (lane, judged) in lanes.iter().zip(join_all(judged).await) {
        for (place, verdict) in lane.iter().zip(judged) {
            verdicts[*place] = verdict;
        }
    }
    let replies = entries.into_iter().zip(verdicts).map(async |(entry, verdict)| {
        let reply = match verdict {
            Verdict::Handled => Reply::Success,
            Verdict::Later => Reply::Retry,
            Verdict::Impossible => give_up::<C>(dapr, &entry).await,
        };
        (entry.id, reply)
    });
    join_all(replies).await
}

/// Places in the batch of what is handled one after the other: events of one key stay together. Dapr hands over one batch at
/// a time, of whichever partition, so a long one is handled side by side.
fn lanes(entries: &[Entry]) -> Vec<Vec<usize>> {
    let count = (entries.len() / LANE).clamp(1, MOST_LANES);
    let mut lanes = vec![Vec::new(); count];
    for (place, entry) in entries.iter().enumerate() {
        let lane = entry.key.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % count;
        lanes[lane].push(place);
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

async fn give_up<C: Consumer>(dapr: &dapr::Client, entry: &Entry) -> Reply {
    // On its way back the key of a record that comes alone is a header of HTTP, and one that cannot be is never delivered.
    let key = if entry.key.contains(char::is_control) { "" } else { &entry.key };
    match dapr.forward(PUBSUB, C::DEAD_LETTERS, key, &entry.event).await {
        Ok(()) => Reply::Success,
        Err(error) => {
            tracing::warn!(error = error.outline(), topic = C::DEAD_LETTERS, "a dead letter cannot be sent yet");
            Reply::Retry
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn entry(key: &str) -> Entry {
        Entry { id: String::new(), key: key.to_owned(), event: Value::Null }
    }

    #[test]
    fn events_of_one_key_stay_together_and_in_order() {
        let entries: Vec<_> = (0..100).map(|n| entry(["a", "b", "c", "d", "e"][n % 5])).collect();
        let lanes = lanes(&entries);
        assert!((2..=MOST_LANES).contains(&lanes.len()));
        for key in ["a", "b", "c", "d", "e"] {
            let with_it = lanes.iter().filter(|lane| lane.iter().any(|place| entries[*place].key == key));
            assert_eq!(with_it.count(), 1, "{key}");
        }
        assert!(lanes.iter().all(|lane| lane.is_sorted()));
        assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), 100);
    }

    #[test]
    fn a_short_batch_is_one_transaction() {
        assert_eq!(lanes(&[entry("a"), entry("b"), entry("c")]), [[0, 1, 2]]);
    }
}
