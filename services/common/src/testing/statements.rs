//! How much a piece of work asks of the database.

use std::{
    future::Future,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// Where sqlx tells of each statement.
const TARGET: &str = "sqlx::query";

tokio::task_local! {
    static COUNT: Arc<AtomicUsize>;
}

/// Counts what sqlx tells of, for the work that it is told in.
struct Counter;

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            // Most work is not counted.
            let _ = COUNT.try_with(|count| count.fetch_add(1, Ordering::Relaxed));
        }
    }
}

/// Begins to listen to sqlx, for all tests of the process. Has to come before its first statement: what it tells while
/// nobody listens yet, it may never tell again.
pub(super) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let only = Targets::new().with_target(TARGET, Level::DEBUG);
        tracing_subscriber::registry().with(Counter.with_filter(only)).init();
    });
}

/// The statements of `work`, with commits but without the begin of transactions.
pub async fn statements(work: impl Future<Output = ()>) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    COUNT.scope(Arc::clone(&count), work).await;
    count.load(Ordering::Relaxed)
}
