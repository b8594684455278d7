//! Connections for reads. A pool tests a connection before and after each use, which is three round trips for a read of one
//! statement; here a connection goes from one read to the next, and back to the pool when a second is over without one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::pool::{ACQUIRE_TIMEOUT, FRESH, leads_to_read_only, unless_silent};

/// Reads at the same time: about half of the pool, so that writes find a connection however many reads wait.
const PLACES: usize = 5;

/// A connection that reads have from the pool.
#[derive(Debug)]
struct Lent {
    connection: PoolConnection<Postgres>,
    /// When the pool gave it.
    since: Instant,
    used: Instant,
}

/// Connections between two reads.
#[derive(Debug, Default)]
struct Waiting {
    /// The last used last.
    connections: Vec<Lent>,
    /// Whether [`give_back`] is under way.
    is_watched: bool,
}

/// The reads of a service. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    places: Arc<Semaphore>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Default for Reads {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), waiting: Arc::default() }
    }
}

impl Reads {
    /// Does `read`, whose connection may have been another read's: no transaction, no settings, no locks.
    pub(super) async fn run<T, E: From<sqlx::Error>>(
        &self,
        pool: &PgPool,
        read: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let place = timeout(ACQUIRE_TIMEOUT, self.places.acquire()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let _place = place.map_err(|_| sqlx::Error::PoolClosed)?;
        let (mut connection, since) = match self.take() {
            Some(lent) => (lent.connection, lent.since),
            None => (pool.acquire().await?, Instant::now()),
        };
        let result = read(&mut connection).await;
        // One that failed, or was given up on the way, goes back by the pool's test.
        if result.is_ok() {
            self.keep(Lent { connection, since, used: Instant::now() });
        }
        result
    }

    fn take(&self) -> Option<Lent> {
        let lent = lock(&self.waiting).connections.pop()?;
        // This one is the last used: if it is too old, all are.
        (lent.used.elapsed() < FRESH && !leads_to_read_only(lent.since.elapsed())).then_some(lent)
    }

    fn keep(&self, lent: Lent) {
        let mut waiting = lock(&self.waiting);
        waiting.connections.push(lent);
        if !std::mem::replace(&mut waiting.is_watched, true) {
            tokio::spawn(give_back(Arc::downgrade(&self.waiting)));
        }
    }
}

/// Gives back what no read has used for a while, until nothing is left.
async fn give_back(waiting: Weak<Mutex<Waiting>>) {
    loop {
        sleep(FRESH).await;
        let Some(waiting) = waiting.upgrade() else { return };
        let unused: Vec<Lent> = {
            let mut waiting = lock(&waiting);
            waiting.connections.extract_if(.., |lent| lent.used.elapsed() >= FRESH).collect()
        };
        for Lent { mut connection, .. } in unused {
            // The pool's own test would wait for one that is silent for ever.
            if unless_silent(connection.ping()).await.is_err() {
                connection.close_on_drop();
            }
        }
        let mut waiting = lock(&waiting);
        waiting.is_watched = !waiting.connections.is_empty();
        if !waiting.is_watched {
            return;
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
