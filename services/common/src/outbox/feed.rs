//! Everything that was committed to the outbox, and notifications when they are to be seen, for live views of this replica.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    sync::{Notify, broadcast},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    database::Database,
    notifications::{Notification, Shown},
};

/// Events that a slow reader may lag behind before it is told that it missed some.
const CAPACITY: usize = 1024;
/// Longest time without looking, because a wake-up can be lost, and because nothing wakes for a notification whose time has come.
const TIMER: Duration = Duration::from_secs(1);
/// Events of one read; the next one follows at once.
const BATCH: usize = 1000;
/// Longest read, for a database whose host is gone without a word.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// Reading goes on for so long without a view: one that comes back finds it under way.
const WARM: Duration = Duration::from_secs(10);

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
    /// A user may see this from now on.
    Notification(Arc<Notification>),
    /// Something may have been missed: read anew.
    Resync,
}

/// Tells this replica's live views what was committed anywhere. Cheap to clone. The canary's events are left out. While there is no
/// view, the database is not asked.
#[derive(Clone, Debug)]
pub struct Feed {
    sender: broadcast::Sender<Told>,
    /// Told when a view begins.
    wanted: Arc<Notify>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), wanted: Arc::default() }
    }
}

impl Feed {
    /// What is committed from now on. `Lagged` means the same as [`Told::Resync`].
    pub fn subscribe(&self) -> broadcast::Receiver<Told> {
        let view = self.sender.subscribe();
        self.wanted.notify_one();
        view
    }

    /// Reads what is committed until `stop`.
    pub async fn run(self, database: Database, stop: CancellationToken) {
        let Some(pool) = stop.run_until_cancelled(database.until_ready()).await else { return };
        let mut news = database.news();
        let follow = async {
            let mut reader = Reader::default();
            loop {
                self.until_wanted(&mut reader).await;
                self.follow(&pool, &mut reader).await;
                if !reader.is_behind() {
                    news.wait(TIMER).await;
                }
            }
        };
        stop.run_until_cancelled(follow).await;
    }

    /// Returns at once while there are views, or were a moment ago. Later it is read anew, from the time at which one begins.
    async fn until_wanted(&self, reader: &mut Reader) {
        if self.sender.receiver_count() > 0 {
            reader.wanted_at = Some(Instant::now());
            return;
        }
        if reader.wanted_at.is_some_and(|at| at.elapsed() < WARM) {
            return;
        }
        *reader = Reader::default();
        while self.sender.receiver_count() == 0 {
            self.wanted.notified().await;
        }
        reader.wanted_at = Some(Instant::now());
    }

    /// Tells what is new. Without a view there is nobody to tell.
    pub(crate) async fn follow(&self, pool: &PgPool, reader: &mut Reader) {
        let tell = |told| drop(self.sender.send(told));
        match timeout(READ_LIMIT, reader.read(pool, tell)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "live views cannot read what is new");
                sleep(TIMER).await;
            }
            Err(_) => tracing::warn!("live views get no answer from the database"),
        }
    }
}

/// How far was read.
#[derive(Default)]
pub(crate) struct Reader {
    changes: Tail,
    notifications: Shown,
    /// When notifications were last looked for.
    looked_at: Option<Instant>,
    /// When there was a view.
    wanted_at: Option<Instant>,
}

impl Reader {
    /// Tells of changes since the last call, and of notifications as often as the timer goes, however much is committed.
    async fn read(&mut self, pool: &PgPool, tell: impl Fn(Told)) -> Result<(), sqlx::Error> {
        let begins = self.changes.seen.is_none();
        // What fails is not tried again at once.
        let is_behind = std::mem::take(&mut self.notifications.is_behind);
        self.changes.is_behind = false;
        for change in self.changes.read(pool).await? {
            tell(Told::Change(Arc::new(change)));
        }
        if is_behind || self.looked_at.is_none_or(|at| at.elapsed() >= TIMER) {
            for notification in self.notifications.read(pool).await? {
                tell(Told::Notification(Arc::new(notification)));
            }
            self.looked_at = Some(Instant::now());
        }
        if begins {
            // What came between a view's beginning and this is not found.
            tell(Told::Resync);
        }
        Ok(())
    }

    fn is_behind(&self) -> bool {
        self.changes.is_behind || self.notifications.is_behind
    }
}

/// Finds each committed row once. Numbers are taken before commits, so rows do not become visible in their order; but what a
/// snapshot of the database has not seen is what comes after it. What is kept does not grow with what was told, however long a
/// transaction stays open.
#[derive(Default)]
pub(crate) struct Tail {
    /// The snapshot of which everything was told; absent before the first look.
    seen: Option<String>,
    /// The snapshot that is being told in parts, and the row up to which it was.
    part: Option<(String, i64)>,
    /// Whether the last read may have left something.
    is_behind: bool,
}

/// Rows that the snapshot `$1` has not seen and `$2` has, or else the present one, after the row `$3`. The snapshot is on each row,
/// and on one row without an event if there is none. What `$1` has not seen is what was under way then and what began later.
const READ: &str = "
    SELECT snapshot::text, id, seq, payload ->> 'user_id' = '$canary' AS is_canary, topic, payload
    FROM (SELECT coalesce($2::text::pg_snapshot, pg_current_snapshot()) AS snapshot) AS read
    LEFT JOIN outbox
        ON (xid >= pg_snapshot_xmax($1::text::pg_snapshot) OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot))))
       AND pg_visible_in_snapshot(xid, snapshot) AND seq > $3
    ORDER BY seq LIMIT $4";

#[derive(sqlx::FromRow)]
struct Found {
    snapshot: String,
    id: Option<Uuid>,
    seq: Option<i64>,
    is_canary: Option<bool>,
    topic: Option<String>,
    payload: Option<Value>,
}

impl Tail {
    /// What was committed since the last call, up to [`BATCH`]; nothing at the first.
    pub(crate) async fn read(&mut self, pool: &PgPool) -> Result<Vec<Change>, sqlx::Error> {
        let Some(seen) = &self.seen else {
            self.seen = Some(sqlx::query_scalar("SELECT pg_current_snapshot()::text").fetch_one(pool).await?);
            return Ok(Vec::new());
        };
        let (snapshot, told) = self.part.clone().unzip();
        let found: Vec<Found> = sqlx::query_as(READ)
            .bind(seen)
            .bind(snapshot)
            .bind(told.unwrap_or(0))
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .fetch_all(pool)
            .await?;
        self.is_behind = found.len() == BATCH;
        if let Some(Found { snapshot, seq, .. }) = found.last() {
            if self.is_behind {
                self.part = Some((snapshot.clone(), seq.unwrap_or_default()));
            } else {
                (self.seen, self.part) = (Some(snapshot.clone()), None);
            }
        }
        let change = |row: Found| {
            let is_told = row.is_canary != Some(true);
            Some(Change { id: row.id?, topic: row.topic?, payload: row.payload? }).filter(|_| is_told)
        };
        Ok(found.into_iter().filter_map(change).collect())
    }

    /// Pages that a read of nothing new takes.
    #[cfg(test)]
    pub(crate) async fn pages(&self, pool: &PgPool) -> i64 {
        let seen = self.seen.as_ref().unwrap();
        let read =
            READ.replace("$1", &format!("'{seen}'")).replace("$2", "NULL").replace("$3", "0").replace("$4", "1000");
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {read}"));
        let plan: Value = sqlx::query_scalar(explain).fetch_one(pool).await.unwrap();
        let pages = |key: &str| plan[0]["Plan"][key].as_i64().unwrap();
        pages("Shared Hit Blocks") + pages("Shared Read Blocks")
    }
}
