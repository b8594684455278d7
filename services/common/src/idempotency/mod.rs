//! Writes that a caller may send twice: a request with the header `Idempotency-Key` is done once, and its answer is given again for
//! a day to the same request with the same key.
//!
//! Key, answer and effect are one transaction, so a crash leaves all or nothing. Whoever is under way holds an advisory lock of its
//! transaction, which goes with it. A request that failed had no effect: nothing of it is kept, and the same key may be tried again.
//!
//! A sidecar that loses its connection to another one sends a request again, though the first may have been done. So whoever of the
//! platform sends a write to a sidecar names it by [`REQUEST_ID`], and what arrives twice is done once without any wish of the caller.

mod answer;
mod once;

use axum::{
    body::to_bytes,
    response::{IntoResponse, Response},
};
use sqlx::PgConnection;

use self::answer::{find, keep, remove, remove_headers};
pub(crate) use self::once::HEADER;
pub use self::{
    answer::{KeptBody, OnlyRead},
    once::{IdempotencyKey, Keyed, Once, REQUEST_ID},
};
use crate::{database::Database, problem::Problem, tasks::UserId};

/// Does `work` in a transaction of its own; where the request is to be done `once`, only if it was not done before.
///
/// # Errors
/// 409 while the same request is under way, 422 for another request with the same key, 429 for too many keys; and what `work` says.
pub async fn write<T: IntoResponse>(
    database: &Database,
    user: &UserId,
    once: Option<&Once>,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Problem>,
) -> Result<Response, Problem> {
    let mut transaction = database.begin().await?;
    let Some(once) = once else {
        let answer = work(&mut transaction).await?.into_response();
        database.commit(transaction).await?;
        return Ok(answer);
    };
    let first = at_first(&mut transaction, user, once, work).await;
    if let Ok(First::Changed(_)) = first {
        database.commit(transaction).await?;
    } else {
        // Now, and not some time after it is dropped: until then the key is under way. If it fails, the connection is gone, and
        // the lock with it.
        let _ = transaction.rollback().await;
    }
    first.map(|(First::Changed(answer) | First::Unchanged(answer))| answer)
}

/// The answer that was given before to a request, for those who have to know it before their transaction.
///
/// # Errors
/// As of [`write`].
pub async fn kept(database: &Database, user: &UserId, once: &Once) -> Result<Option<Response>, Problem> {
    let mut transaction = database.begin().await?;
    let answer = find(&mut transaction, user, once).await;
    // Now, and not some time after it is dropped: until then the key is under way.
    let _ = transaction.rollback().await;
    answer
}

/// Takes back the answer to a request that turned out not to be done: it may be sent again.
pub async fn forget(database: &Database, user: &UserId, once: &Once) -> Result<(), Problem> {
    let mut transaction = database.begin().await?;
    remove(&mut transaction, user, once).await?;
    database.commit(transaction).await
}

/// Keeps an answer without its headers: what they said is done, and is not to be done by the same request again.
pub async fn forget_headers(database: &Database, user: &UserId, once: &Once) -> Result<(), Problem> {
    let mut transaction = database.begin().await?;
    remove_headers(&mut transaction, user, once).await?;
    database.commit(transaction).await
}

/// What became of a request that is to be done once.
enum First {
    /// It was done now.
    Changed(Response),
    /// There is nothing to commit: it was done before, or has only read.
    Unchanged(Response),
}

/// Does `work` and keeps its answer, unless that was done before.
async fn at_first<T: IntoResponse>(
    connection: &mut PgConnection,
    user: &UserId,
    once: &Once,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Problem>,
) -> Result<First, Problem> {
    if let Some(answer) = find(&mut *connection, user, once).await? {
        return Ok(First::Unchanged(answer));
    }
    let answer = work(&mut *connection).await?.into_response();
    if answer.extensions().get::<OnlyRead>().is_some() {
        return Ok(First::Unchanged(answer));
    }
    let (parts, body) = answer.into_parts();
    // Our own answers, in memory already.
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Problem::internal())?;
    let kept = parts.extensions.get().map_or(&body, |KeptBody(instead)| instead);
    keep(connection, user, once, parts.status, &parts.headers, kept).await?;
    Ok(First::Changed((parts.status, parts.headers, body).into_response()))
}
