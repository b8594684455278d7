//! Publishes what is in the outbox, in order per partition key, with any number of replicas at once.

use std::future::Future;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::OutboxEvent;
use crate::dapr;

/// The edge of the relay: where events go.
pub trait Publish: Send + Sync {
    /// Returns when the broker has acknowledged the event. The text of an error is kept with the row.
    fn publish_event(&self, event: &OutboxEvent) -> impl Future<Output = Result<(), String>> + Send;
}

impl Publish for dapr::Client {
    async fn publish_event(&self, event: &OutboxEvent) -> Result<(), String> {
        let _ = event;
        todo!()
    }
}

/// Publishes until `stop`. An event is marked after the broker's acknowledgement, so it may be published twice but never lost.
pub async fn run(pool: PgPool, publisher: impl Publish, stop: CancellationToken) {
    let _ = (pool, publisher, stop);
    todo!()
}
