//! What the routes share.

use std::{sync::Arc, time::Duration};

use todo_common::{dapr, database::Database, outbox::Feed};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::routes::events;

/// The running service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    /// Tasks and the outbox.
    pub(crate) database: Database,
    /// The sidecar: state store and the other services.
    pub(crate) dapr: dapr::Client,
    /// What is committed anywhere, for live views.
    pub(crate) feed: Feed,
    /// Places for live views.
    pub(crate) streams: Arc<Semaphore>,
    /// How far ahead a tick claims reminders.
    pub(crate) reminder_window: Duration,
    /// Cancelled when the service stops.
    pub(crate) stop: CancellationToken,
}

impl App {
    /// A service with a database that may not be there yet.
    pub(crate) fn new(
        database: Database,
        dapr: dapr::Client,
        reminder_window: Duration,
        stop: CancellationToken,
    ) -> Self {
        Self { database, dapr, feed: Feed::default(), streams: events::places(), reminder_window, stop }
    }
}
