//! How much a piece of work asks of the database.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{Event, Subscriber, instrument::WithSubscriber};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

/// Counts what sqlx tells of.
struct Counter(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The statements of `work`, with commits but without the begin of transactions.
pub async fn statements(work: impl Future<Output = ()>) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    work.with_subscriber(tracing_subscriber::registry().with(Counter(count.clone()))).await;
    count.load(Ordering::Relaxed)
}
