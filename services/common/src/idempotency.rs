//! Writes that a caller may send twice: a request with the header `Idempotency-Key` is done once, and its answer is given again for
//! a day to the same request with the same key.
//!
//! Key, answer and effect are one transaction, so a crash leaves all or nothing. Whoever is under way holds an advisory lock of its
//! transaction, which goes with it. A request that failed had no effect: nothing of it is kept, and the same key may be tried again.

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

use crate::{
    database::Database,
    problem::{self, Problem},
    tasks::UserId,
};

pub(crate) const HEADER: &str = "idempotency-key";
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 255;
/// Keys of one user in a day.
const MOST_KEYS: i64 = 10_000;
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
    key: String,
    /// Hash of the request: another one must not come with the same key.
    fingerprint: Vec<u8>,
}

impl Once {
    /// What the caller wishes for this request, if anything.
    pub fn of(parts: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        let Some(key) = key(&parts.headers)? else { return Ok(None) };
        let mut hash = Sha256::new();
        let if_match = parts.headers.get(IF_MATCH).map(HeaderValue::as_bytes).unwrap_or_default();
        let target = parts.uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
        for part in [parts.method.as_str().as_bytes(), target.as_bytes(), if_match, body] {
            // With its length, so that two parts cannot be taken for two others.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(Some(Self { key, fingerprint: hash.finalize().to_vec() }))
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
    if let Ok(First::Done(_)) = first {
        database.commit(transaction).await?;
    } else {
        // Now, and not some time after it is dropped: until then the key is under way. If it fails, the connection is gone, and
        // the lock with it.
        let _ = transaction.rollback().await;
    }
    first.map(|(First::Done(answer) | First::Replay(answer))| answer)
}

/// What became of a request that is to be done once.
enum First {
    /// It was done now.
    Done(Response),
    /// It was done before: the answer from then.
    Replay(Response),
}

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
        return Ok(First::Replay(answer));
    }
    let (parts, body) = work(&mut *connection).await?.into_response().into_parts();
    // Our own answers, in memory already.
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Problem::internal())?;
    let kept = parts.extensions.get().map_or(&body, |KeptBody(instead)| instead);
    keep(connection, user, once, parts.status, &parts.headers, kept).await?;
    Ok(First::Done((parts.status, parts.headers, body).into_response()))
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
    let locked: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency/' || $1 || '/' || $2, 0))")
            .bind(user)
            .bind(&once.key)
            .fetch_one(&mut *connection)
            .await?;
    if !locked {
        let title = "A request with this idempotency key is under way";
        return Err(Problem::new(StatusCode::CONFLICT, "under-way", title).detail("wait for its end, or ask again"));
    }
    let kept: Option<Kept> = sqlx::query_as(
        "SELECT fingerprint, status, headers, body FROM idempotency_keys
         WHERE user_id = $1 AND key = $2 AND created_at > now() - interval '24 hours'",
    )
    .bind(user)
    .bind(&once.key)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(Kept { fingerprint, status, headers, body }) = kept else {
        return have_room(connection, user).await.map(|()| None);
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

async fn have_room(connection: &mut PgConnection, user: &UserId) -> Result<(), Problem> {
    let keys: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM idempotency_keys WHERE user_id = $1 AND created_at > now() - interval '24 hours'
         LIMIT $2) AS kept",
    )
    .bind(user)
    .bind(MOST_KEYS)
    .fetch_one(connection)
    .await?;
    if keys < MOST_KEYS {
        return Ok(());
    }
    let title = "The user has too many idempotency keys";
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-keys", title)
        .detail(format!("at most {MOST_KEYS} in 24 hours; send requests that need none without")))
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
    // One that is there has expired, or it would have been found.
    sqlx::query(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, status, headers, body) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
             headers = excluded.headers, body = excluded.body, created_at = now()",
    )
    .bind(user)
    .bind(&once.key)
    .bind(&once.fingerprint)
    .bind(i16::try_from(status.as_u16()).unwrap_or_default())
    .bind(Json(headers))
    .bind(body)
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
