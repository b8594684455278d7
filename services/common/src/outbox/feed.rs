//! Everything that was committed to the outbox, for live views of this replica.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    sync::broadcast,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::Database;

/// Events that a slow reader may lag behind before it is told that it missed some.
const CAPACITY: usize = 1024;
/// Longest time without looking, because a notification can be lost.
const TIMER: Duration = Duration::from_secs(1);
/// Events of one read; the next one follows at once.
const BATCH: usize = 1000;
/// Longest read, for a database whose host is gone without a word.
const READ_LIMIT: Duration = Duration::from_secs(10);

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

/// What a live view is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Something was committed.
    Change(Arc<Change>),
    /// Something may have been missed: read anew.
    Resync,
}

/// Tells this replica's live views what was committed anywhere. Cheap to clone. The canary's events are left out.
#[derive(Clone, Debug)]
pub struct Feed {
    sender: broadcast::Sender<Told>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }
}

impl Feed {
    /// What is committed from now on. `Lagged` means the same as [`Told::Resync`].
    pub fn subscribe(&self) -> broadcast::Receiver<Told> {
        self.sender.subscribe()
    }

    /// Reads what is committed until `stop`.
    pub async fn run(self, database: Database, stop: CancellationToken) {
        let Some(pool) = stop.run_until_cancelled(database.until_ready()).await else { return };
        let mut news = database.news();
        let follow = async {
            let mut tail = Tail::default();
            loop {
                self.follow(&pool, &mut tail).await;
                if !tail.is_behind {
                    news.wait(TIMER).await;
                }
            }
        };
        stop.run_until_cancelled(follow).await;
    }

    /// Without a view there is nobody to tell.
    pub(crate) async fn follow(&self, pool: &PgPool, tail: &mut Tail) {
        let begins = tail.horizon.is_none();
        tail.is_behind = false;
        match timeout(READ_LIMIT, tail.read(pool)).await {
            Ok(Ok(changes)) => {
                if begins {
                    // What was committed between a view's beginning and this is not found.
                    let _ = self.sender.send(Told::Resync);
                }
                for change in changes {
                    let _ = self.sender.send(Told::Change(Arc::new(change)));
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "live views cannot read what is new");
                sleep(TIMER).await;
            }
            Err(_) => tracing::warn!("live views get no answer from the database"),
        }
    }
}

/// Finds each committed row once. Numbers are taken before commits, so rows do not become visible in their order; but
/// everything of transactions before the snapshot's oldest running one is visible, and the rest is remembered.
#[derive(Default)]
pub(crate) struct Tail {
    /// Transactions before this one are done with; absent before the first look.
    horizon: Option<i64>,
    /// What was told of later ones, with its transaction.
    told: HashMap<Uuid, i64>,
    /// Whether the last read may have left something.
    is_behind: bool,
}

#[derive(sqlx::FromRow)]
struct Found {
    /// Of this snapshot; on each row, and on one row without an event if there is none.
    horizon: i64,
    id: Option<Uuid>,
    transaction: Option<i64>,
    is_canary: Option<bool>,
    topic: Option<String>,
    payload: Option<Value>,
}

impl Tail {
    /// What was committed since the last call, up to [`BATCH`]; nothing at the first.
    pub(crate) async fn read(&mut self, pool: &PgPool) -> Result<Vec<Change>, sqlx::Error> {
        let told: Vec<Uuid> = self.told.keys().copied().collect();
        let found: Vec<Found> = sqlx::query_as(
            "SELECT horizon::text::bigint, id, xid::text::bigint AS transaction, payload ->> 'user_id' = '$canary' AS is_canary,
                    topic, payload
             FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon) AS snapshot
             LEFT JOIN outbox ON xid >= coalesce($1::bigint::text::xid8, horizon) AND id <> ALL ($2)
             ORDER BY seq LIMIT $3",
        )
        .bind(self.horizon)
        .bind(told)
        .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
        self.is_behind = found.len() == BATCH;
        let is_first = self.horizon.is_none();
        if let Some(row) = found.first()
            && (is_first || !self.is_behind)
        {
            self.horizon = Some(row.horizon);
        }
        let mut changes = Vec::new();
        for row in found {
            let (Some(id), Some(transaction), Some(topic), Some(payload)) =
                (row.id, row.transaction, row.topic, row.payload)
            else {
                continue;
            };
            self.told.insert(id, transaction);
            if !is_first && row.is_canary != Some(true) {
                changes.push(Change { id, topic, payload });
            }
        }
        // What is older is not found again.
        self.told.retain(|_, transaction| self.horizon.is_some_and(|horizon| *transaction >= horizon));
        Ok(changes)
    }
}
