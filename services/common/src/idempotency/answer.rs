//! What is kept of the answers, and for how long.

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
};
use sqlx::{FromRow, PgConnection, types::Json};

use super::once::{By, Once};
use crate::{problem::Problem, tasks::UserId};

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Keys of one user in a day.
const MOST_KEYS: i64 = 10_000;
/// Bytes of the answers to them.
const MOST_BYTES: i64 = 64 << 20;
/// How long an answer is kept.
const HOURS: i32 = 24;
/// The same where nobody has asked for it: a sidecar sends a request again within seconds.
const MINUTES_BY_ID: i32 = 10;
/// Longest answer that is kept where nobody has asked for it. Only changes of many tasks at once have longer ones, and these change
/// nothing more when they are done again.
const LONGEST_BY_ID: usize = 256 << 10;
/// Headers that are a part of an answer.
const KEPT_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

/// Of a request that has changed nothing: no answer is kept, and whoever sends it again gets one of then. An extension of the answer.
#[derive(Clone, Copy, Debug)]
pub struct OnlyRead;

/// What is kept of an answer instead of its body, because there is something in it that is told once. An extension of the answer.
#[derive(Clone, Debug)]
pub struct KeptBody(pub Bytes);

/// A row of `idempotency_keys`.
#[derive(FromRow)]
struct Kept {
    fingerprint: Vec<u8>,
    status: i16,
    headers: Json<Vec<(String, String)>>,
    body: Vec<u8>,
}

/// The answer that was given before. Without one, the request may be done, and nobody else can do it until the transaction ends.
pub(super) async fn find(
    connection: &mut PgConnection,
    user: &UserId,
    once: &Once,
) -> Result<Option<Response>, Problem> {
    if !lock(&mut *connection, user, once).await? {
        let title = "A request with this idempotency key is under way";
        return Err(Problem::new(StatusCode::CONFLICT, "under-way", title).detail("wait for its end, or ask again"));
    }
    let kept: Option<Kept> = sqlx::query_as(
        "SELECT fingerprint, status, headers, body FROM idempotency_keys
         WHERE user_id = $1 AND key = $2 AND created_at > now() - make_interval(hours => $3)",
    )
    .bind(once.owner(user))
    .bind(&once.key)
    .bind(HOURS)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(Kept { fingerprint, status, headers, body }) = kept else {
        if once.by == By::Caller {
            have_room(connection, user).await?;
        }
        return Ok(None);
    };
    if fingerprint != once.fingerprint {
        let title = "Another request had this idempotency key";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", title).detail("take a new key for it"));
    }
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut answer = (status.unwrap_or_default(), Bytes::from(body)).into_response();
    answer.headers_mut().remove(CONTENT_TYPE);
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    let headers = headers.0.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
    answer.headers_mut().extend(headers.collect::<Vec<(HeaderName, HeaderValue)>>());
    Ok(Some(answer))
}

/// Keeps everybody else from doing the request until the transaction ends; or says that somebody does it.
async fn lock(connection: &mut PgConnection, user: &UserId, once: &Once) -> Result<bool, sqlx::Error> {
    let name = format!("idempotency/{}/{}", once.owner(user), once.key);
    match once.by {
        By::Caller => {
            sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))")
                .bind(name)
                .fetch_one(connection)
                .await
        }
        // The caller knows of one request only, and waits for its answer.
        By::Way => {
            let wait = sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name);
            wait.execute(connection).await.map(|_| true)
        }
    }
}

async fn have_room(connection: &mut PgConnection, user: &UserId) -> Result<(), Problem> {
    let (keys, bytes): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM (SELECT body FROM idempotency_keys
            WHERE user_id = $1 AND created_at > now() - make_interval(hours => $3) LIMIT $2) AS kept",
    )
    .bind(user)
    .bind(MOST_KEYS)
    .bind(HOURS)
    .fetch_one(connection)
    .await?;
    if keys < MOST_KEYS && bytes < MOST_BYTES {
        return Ok(());
    }
    let title = "The user has too many idempotency keys";
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-keys", title).detail(format!(
        "at most {MOST_KEYS} with {} MiB of answers in 24 hours; send requests that need none without",
        MOST_BYTES >> 20
    )))
}

/// Keeps an answer, unless it is a long one that nobody has asked to be kept.
pub(super) async fn keep(
    connection: &mut PgConnection,
    user: &UserId,
    once: &Once,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), sqlx::Error> {
    if once.by == By::Way && body.len() > LONGEST_BY_ID {
        return Ok(());
    }
    let kept = KEPT_HEADERS.iter().filter_map(|name| Some((name.as_str(), headers.get(name)?.to_str().ok()?)));
    let headers: Vec<_> = kept.collect();
    // What is kept for a shorter time is written as if it were older.
    let age = if once.by == By::Way { HOURS * 60 - MINUTES_BY_ID } else { 0 };
    // One that is there has expired, or it would have been found.
    sqlx::query(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, status, headers, body, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, now() - make_interval(mins => $7))
         ON CONFLICT (user_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
             headers = excluded.headers, body = excluded.body, created_at = excluded.created_at",
    )
    .bind(once.owner(user))
    .bind(&once.key)
    .bind(&once.fingerprint)
    .bind(i16::try_from(status.as_u16()).unwrap_or_default())
    .bind(Json(headers))
    .bind(body)
    .bind(age)
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn remove(connection: &mut PgConnection, user: &UserId, once: &Once) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2")
        .bind(once.owner(user))
        .bind(&once.key)
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn remove_headers(
    connection: &mut PgConnection,
    user: &UserId,
    once: &Once,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE idempotency_keys SET headers = '[]' WHERE user_id = $1 AND key = $2")
        .bind(once.owner(user))
        .bind(&once.key)
        .execute(connection)
        .await
        .map(drop)
}
