//! How a service keeps its connections.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor, PgConnection, postgres::PgPoolOptions};
use tokio::time::timeout;

use super::answered::silence;

/// Connections of one service; four services and the sidecars share PostgreSQL's default of 100.
const MAX_CONNECTIONS: u32 = 12;
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(4);
/// A connection that was used so short a while ago is taken for one that works.
pub(super) const FRESH: Duration = Duration::from_secs(1);
/// A connection that is silent for this long is given up. It leaves time to open another one for whoever waits.
const SILENT: Duration = Duration::from_secs(2);

/// When a server has last said that it takes no writes, as after a failover: connections from before lead to it.
static READ_ONLY_AT: Mutex<Option<Instant>> = Mutex::new(None);

pub(crate) fn options() -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Not at each use: that is a round trip more for each request.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if leads_to_read_only(meta.age) {
                    return Ok(false);
                }
                if meta.idle_for >= FRESH {
                    unless_silent(connection.ping()).await?;
                }
                Ok(true)
            })
        })
        // The pool itself tests what comes back, and waits for that for ever. Here only what is still under way is waited for,
        // such as the statement of a request that was given up; where that is nothing, it is no round trip.
        .after_release(|connection, _| Box::pin(async move { unless_silent(connection.flush()).await.map(|()| true) }))
        .after_connect(|connection, _| Box::pin(set_limits(connection)))
}

/// Not as start-up parameters: poolers between refuse those that they do not know.
async fn set_limits(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let limits = "SET statement_timeout = '15s'; SET lock_timeout = '10s'; \
                  SET idle_in_transaction_session_timeout = '30s'";
    connection.execute(limits).await.map(drop)
}

/// Waits for a connection, which may be one whose host is gone without a word.
pub(super) async fn unless_silent(work: impl Future<Output = Result<(), sqlx::Error>>) -> Result<(), sqlx::Error> {
    timeout(SILENT, work).await.unwrap_or_else(|_| Err(silence(SILENT)))
}

/// To be told when a server takes no writes: connections are not used any more then, and opened anew. Once a second at most,
/// so that a database that stays so is not asked for a connection by each request.
pub(crate) fn note_read_only() {
    let mut last = read_only_at();
    if last.is_none_or(|last| last.elapsed() >= FRESH) {
        *last = Some(Instant::now());
    }
}

/// Whether a connection of this age was opened before a server said that it takes no writes.
pub(super) fn leads_to_read_only(age: Duration) -> bool {
    read_only_at().is_some_and(|last| last.elapsed() <= age)
}

fn read_only_at() -> MutexGuard<'static, Option<Instant>> {
    READ_ONLY_AT.lock().unwrap_or_else(PoisonError::into_inner)
}
