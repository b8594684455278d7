//! A database whose host is gone without a word gives no error. Requests have a limit anyway; what nobody waits for needs one.

use std::{io, time::Duration};

use tokio::time::timeout;

/// Longest wait for what is done in the background: longer than the database itself lets a statement take, and than it takes
/// to publish a batch of events.
const LIMIT: Duration = Duration::from_secs(30);

/// Does `work` of the background; without an end within 30 s it is given up, as if the connection had been lost.
pub async fn answered<T, E: From<sqlx::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(LIMIT, work).await.unwrap_or_else(|_| Err(silence(LIMIT).into()))
}

/// The error of a database that does not answer.
pub(super) fn silence(limit: Duration) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs())))
}
