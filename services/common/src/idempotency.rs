//! Writes that a caller may send twice: a request with the header `Idempotency-Key` is done once, and its answer is given again for
//! a day to the same request with the same key.
//!
//! Key, answer and effect are one transaction, so a crash leaves all or nothing. Whoever is under way holds an advisory lock of its
//! transaction, which goes with it. A request that failed had no effect: nothing of it is kept, and the same key may be tried again.
//!
//! A sidecar that loses its connection to another one sends a request again, though the first may have been done. So whoever of the
//! platform sends a write to a sidecar names it by [`REQUEST_ID`], and what arrives twice is done once without any wish of the caller.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, Request},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION},
        request::Parts,
        uri::PathAndQuery,
    },
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use sqlx::{FromRow, PgConnection, types::Json};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    database::Database,
    problem::{self, Problem},
    tasks::UserId,
};

pub(crate) const HEADER: &str = "idempotency-key";
/// A UUID that a request has from whoever gives it to a sidecar, and keeps if that sends it again.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("todo-request-id");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 255;
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

/// The header, as documents show it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what `Once` reads")]
pub struct IdempotencyKey {
    /// Any text that no other request of this user has, such as a UUID: with it the request can be sent again safely for a day.
    #[param(rename = "idempotency-key", required = false, pattern = r"^[!#-\[\]-~]{1,255}$")]
    idempotency_key: String,
}

/// A request that is to be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    by: By,
    key: String,
    /// Hash of the request: another one must not come with the same key.
    fingerprint: Vec<u8>,
}

/// Who says that it is to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The caller, who may send it again.
    Caller,
    /// Who has passed it to a sidecar, which may send it again.
    Way,
}

impl Once {
    /// By the caller's key, or else by the request's own id, if it has either.
    pub fn of(parts: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        let (by, key) = match (key(&parts.headers)?, request_id(&parts.headers)?) {
            (Some(key), _) => (By::Caller, key),
            (None, Some(id)) => (By::Way, id.to_string()),
            (None, None) => return Ok(None),
        };
        let mut hash = Sha256::new();
        let if_match = parts.headers.get(IF_MATCH).map(HeaderValue::as_bytes).unwrap_or_default();
        let target = parts.uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
        for part in [parts.method.as_str().as_bytes(), target.as_bytes(), if_match, body] {
            // With its length, so that two parts cannot be taken for two others.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(Some(Self { by, key, fingerprint: hash.finalize().to_vec() }))
    }

    /// The id of a request to another service that belongs to this one: the same, whenever this one comes.
    pub fn request_id_of_part(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &[self.key.as_bytes(), &self.fingerprint].concat())
    }

    /// Under whom it is kept. No user's name begins with the sign, so ids that are made for requests are never a user's keys.
    fn owner(&self, user: &UserId) -> String {
        match self.by {
            By::Caller => user.as_str().to_owned(),
            By::Way => format!("${user}"),
        }
    }
}

/// What is extracted from a request, and whether that is to be done once.
#[derive(Clone, Debug)]
pub struct Keyed<T>(pub Option<Once>, pub T);

impl<T: FromRequest<S>, S: Send + Sync> FromRequest<S> for Keyed<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (parts, body) = problem::read(request).await.map_err(IntoResponse::into_response)?;
        let once = Once::of(&parts, &body).map_err(IntoResponse::into_response)?;
        let request = Request::from_parts(parts, body.into());
        T::from_request(request, state).await.map(|content| Self(once, content)).map_err(IntoResponse::into_response)
    }
}

/// The key: visible ASCII characters, in quotes (as the standard has it) or not.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let wrong =
        || Problem::bad_request(format!("{HEADER} must be one text of 1 to {LONGEST_KEY} visible ASCII characters"));
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_key =
        (1..=LONGEST_KEY).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    if is_key && values.next().is_none() { Ok(Some(text.to_owned())) } else { Err(wrong()) }
}

/// The id of a request, if it has one.
fn request_id(headers: &HeaderMap) -> Result<Option<Uuid>, Problem> {
    let wrong = || Problem::bad_request(format!("{REQUEST_ID} must be one UUID"));
    let read = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(wrong);
    headers.get(REQUEST_ID).map(read).transpose()
}

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
    let forget = sqlx::query("DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2");
    forget.bind(once.owner(user)).bind(&once.key).execute(&mut *transaction).await?;
    database.commit(transaction).await
}

/// Keeps an answer without its headers: what they said is done, and is not to be done by the same request again.
pub async fn forget_headers(database: &Database, user: &UserId, once: &Once) -> Result<(), Problem> {
    let mut transaction = database.begin().await?;
    let forget = sqlx::query("UPDATE idempotency_keys SET headers = '[]' WHERE user_id = $1 AND key = $2");
    forget.bind(once.owner(user)).bind(&once.key).execute(&mut *transaction).await?;
    database.commit(transaction).await
}

/// What became of a request that is to be done once.
enum First {
    /// It was done now.
    Changed(Response),
    /// There is nothing to commit: it was done before, or has only read.
    Unchanged(Response),
}

/// Of a request that has changed nothing: no answer is kept, and whoever sends it again gets one of then. An extension of the answer.
#[derive(Clone, Copy, Debug)]
pub struct OnlyRead;

/// What is kept of an answer instead of its body, because there is something in it that is told once. An extension of the answer.
#[derive(Clone, Debug)]
pub struct KeptBody(pub Bytes);

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
    if once.by == By::Caller || kept.len() <= LONGEST_BY_ID {
        keep(connection, user, once, parts.status, &parts.headers, kept).await?;
    }
    Ok(First::Changed((parts.status, parts.headers, body).into_response()))
}

/// A row of `idempotency_keys`.
#[derive(FromRow)]
struct Kept {
    fingerprint: Vec<u8>,
    status: i16,
    headers: Json<Vec<(String, String)>>,
    body: Vec<u8>,
}

/// The answer that was given before. Without one, the request may be done, and nobody else can do it until the transaction ends.
async fn find(connection: &mut PgConnection, user: &UserId, once: &Once) -> Result<Option<Response>, Problem> {
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

async fn keep(
    connection: &mut PgConnection,
    user: &UserId,
    once: &Once,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), sqlx::Error> {
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

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn once(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Option<Once>, Problem> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Once::of(&request.body(()).unwrap().into_parts().0, body.as_bytes())
    }

    #[test]
    fn a_key_is_taken_with_and_without_quotes() {
        let quoted = once("POST", "/a", &[(HEADER, "\"k-1\"")], "{}").unwrap().unwrap();
        assert_eq!(Some(quoted.clone()), once("POST", "/a", &[(HEADER, " k-1 ")], "{}").unwrap());
        assert_eq!(quoted.key, "k-1");
        assert_eq!(once("POST", "/a", &[], "{}"), Ok(None));
    }

    #[test]
    fn a_request_has_its_own_id_where_the_caller_has_no_key() {
        let id = ("todo-request-id", "0193a1b0-7c1e-7000-8000-000000000001");
        let by_id = once("POST", "/a", &[id], "{}").unwrap().unwrap();
        let by_key = once("POST", "/a", &[id, (HEADER, id.1)], "{}").unwrap().unwrap();
        assert_eq!((by_id.by, by_key.by), (By::Way, By::Caller));
        let ada = UserId::new("ada").unwrap();
        assert_ne!(by_id.owner(&ada), by_key.owner(&ada), "whatever key a user takes");
        assert!(once("POST", "/a", &[(id.0, "1")], "{}").is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in ["", "\"\"", "a b", "a\"b", "ä", &"x".repeat(256)] {
            assert!(once("POST", "/a", &[(HEADER, wrong)], "").is_err(), "{wrong}");
        }
        assert!(once("POST", "/a", &[(HEADER, "a"), (HEADER, "b")], "").is_err());
    }

    #[test]
    fn every_part_of_a_request_makes_it_another() {
        let of = |method, path, if_match, body| {
            once(method, path, &[(HEADER, "k"), ("if-match", if_match)], body).unwrap().unwrap()
        };
        let first = of("POST", "/a", "\"1\"", "{}");
        for other in [
            of("PUT", "/a", "\"1\"", "{}"),
            of("POST", "/b", "\"1\"", "{}"),
            of("POST", "/a", "\"2\"", "{}"),
            of("POST", "/a", "\"1\"", "{ }"),
        ] {
            assert_ne!(first, other);
        }
        assert_eq!(first, of("POST", "/a", "\"1\"", "{}"));
    }
}
