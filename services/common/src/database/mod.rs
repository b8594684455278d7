//! The one database of a platform: connecting, migrating, claiming, and a handle that is there before the pool is.

mod answered;
mod begin;
mod claim;
mod connect;
pub(crate) mod options;
mod pool;
mod reads;

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use answered::answered;
pub use begin::begin;
pub use claim::{ClaimError, claim};
pub(crate) use connect::SECRET_STORE;
pub use connect::{ConnectError, connect, migrate};
pub(crate) use pool::note_read_only;
#[cfg(any(test, feature = "testing"))]
pub(crate) use pool::options as pool_options;
use reads::Reads;

use crate::{
    config::Settings,
    dapr,
    outbox::{Waiter, news::News},
    problem::Problem,
    retention,
};

/// Pause before the next try to connect.
const RETRY: Duration = Duration::from_secs(2);

/// Whether the database can be used.
#[derive(Clone, Debug)]
pub enum State {
    /// Not connected yet; says what is being waited for.
    Starting(&'static str),
    /// It can be used.
    Ready(PgPool),
    /// It belongs to another platform, whose namespace and name this is.
    InUse(String),
    /// The last try failed, in words without secrets. It goes on trying.
    Failed(String),
}

/// A way to the database that exists before the database does. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    state: Arc<watch::Sender<State>>,
    news: News,
    reads: Reads,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// Not connected; [`Database::run`] does that.
    pub fn new() -> Self {
        Self::with(State::Starting("waiting for the sidecar"))
    }

    /// Connected already.
    pub fn ready(pool: PgPool) -> Self {
        Self::with(State::Ready(pool))
    }

    fn with(state: State) -> Self {
        Self { state: Arc::new(watch::Sender::new(state)), news: News::default(), reads: Reads::default() }
    }

    /// How it is now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// To be told of changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The pool, or the problem to answer with.
    pub fn pool(&self) -> Result<PgPool, Problem> {
        match self.state() {
            State::Ready(pool) => Ok(pool),
            State::Starting(what) => Err(Problem::starting(what)),
            State::InUse(by) => Err(Problem::unavailable(format!("the database belongs to the platform {by}"))),
            State::Failed(_) => Err(Problem::starting("there is no connection to the database yet")),
        }
    }

    /// The pool as soon as there is one.
    pub async fn until_ready(&self) -> PgPool {
        let mut state = self.state.subscribe();
        loop {
            if let State::Ready(pool) = &*state.borrow_and_update() {
                return pool.clone();
            }
            if state.changed().await.is_err() {
                // The sender is a field of `self` and cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Does `read`, which may find its connection as another read left it: it must not change the session.
    pub async fn read<T, E: From<sqlx::Error>>(
        &self,
        read: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        Ok(self.reads.run(&self.pool()?, read).await?)
    }

    /// Begins a transaction, to be ended by [`Database::commit`].
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, Problem> {
        Ok(begin(&self.pool()?, "BEGIN").await?)
    }

    /// The same of one whose statements and locks have less time than others.
    pub(crate) async fn begin_within(&self, limit: Duration) -> Result<Transaction<'static, Postgres>, Problem> {
        let limit = limit.as_millis();
        // One round trip.
        let statement = format!("BEGIN; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}");
        Ok(begin(&self.pool()?, AssertSqlSafe(statement)).await?)
    }

    /// To be told that something may have been committed: by this process at once, by others if somebody here
    /// [listens](Database::listen).
    pub fn news(&self) -> Waiter {
        self.news.waiter()
    }

    /// Commits, and then wakes the relays and the feeds of all replicas. The notification is not a part of the
    /// transaction, because PostgreSQL commits notifying transactions one by one; if it is lost, their timers do.
    pub async fn commit(&self, transaction: Transaction<'_, Postgres>) -> Result<(), Problem> {
        transaction.commit().await?;
        self.news.committed();
        Ok(())
    }

    /// Connects (going on trying), then passes on commits as notifications and removes old rows, until `stop`. The pool
    /// stays open, because handlers that are being drained need it.
    pub async fn run(self, settings: Settings, dapr: dapr::Client, stop: CancellationToken) {
        let Some(Some(pool)) = stop.run_until_cancelled(self.establish(&settings, &dapr)).await else { return };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.pass_on_commits(&pool) => {}
            () = retention::keep_clean(&pool) => {}
        }
    }

    pub(crate) async fn pass_on_commits(&self, pool: &PgPool) {
        self.news.pass_on(pool).await;
    }

    async fn establish(&self, settings: &Settings, dapr: &dapr::Client) -> Option<PgPool> {
        loop {
            match connect(settings, dapr).await {
                Ok(pool) => {
                    tracing::info!("the database is ready");
                    self.state.send_replace(State::Ready(pool.clone()));
                    return Some(pool);
                }
                Err(error) => {
                    tracing::warn!(%error, "the database cannot be used yet");
                    self.state.send_replace(error.into_state());
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Hears what other processes commit, for those of this one that wait for news, until `stop`.
    pub async fn listen(self, stop: CancellationToken) {
        if let Some(pool) = stop.run_until_cancelled(self.until_ready()).await {
            self.news.listen(&pool, &stop).await;
        }
    }
}
