//! Which request it is: the key of its caller, or the id that it has on its way.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header::IF_MATCH, request::Parts, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    problem::{self, Problem},
    tasks::UserId,
};

pub(crate) const HEADER: &str = "idempotency-key";
/// A UUID that a request has from whoever gives it to a sidecar, and keeps if that sends it again.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("todo-request-id");
const LONGEST_KEY: usize = 255;

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
    pub(super) by: By,
    pub(super) key: String,
    /// Hash of the request: another one must not come with the same key.
    pub(super) fingerprint: Vec<u8>,
}

/// Who says that it is to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
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
    pub(super) fn owner(&self, user: &UserId) -> String {
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
