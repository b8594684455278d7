//! Everything that was committed to the outbox, for live views of this replica.

use std::sync::Arc;

use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events that a slow reader may lag behind before it is told that it missed some.
const CAPACITY: usize = 1024;

/// One event, as soon as it is committed by any replica or service.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Row of the outbox; ids grow with time.
    pub id: Uuid,
    /// Topic.
    pub topic: String,
    /// Payload: a task event on topic `task-events`.
    pub payload: Value,
}

/// Tells this replica's live views what was committed anywhere. Cheap to clone. The canary's events are left out.
#[derive(Clone, Debug)]
pub struct Feed {
    sender: broadcast::Sender<Arc<Change>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }
}

impl Feed {
    /// What is committed from now on. `Lagged` means that the view has to be read anew.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Change>> {
        self.sender.subscribe()
    }

    /// Reads what is committed until `stop`.
    pub async fn run(self, pool: PgPool, stop: CancellationToken) {
        let _ = (pool, stop);
        todo!()
    }
}
