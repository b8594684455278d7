//! The state store, with first-write-wins always: a lost update is a conflict, never silence.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Client, Error, send, success};

/// Version of a stored value; opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// The version that was kept as this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As the store has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Client {
    /// The value of `key`, or nothing.
    pub async fn state_get<T: DeserializeOwned>(&self, store: &str, key: &str) -> Result<Option<(T, Etag)>, Error> {
        let operation = "reading state";
        let request = self.http.get(self.url(&["v1.0", "state", store, key])?).query(&[("consistency", "strong")]);
        let response = success(operation, send(operation, request).await?).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let unreadable = |message: String| Error::Unreadable { operation, message };
        let etag = response
            .headers()
            .get(header::ETAG)
            .and_then(|etag| etag.to_str().ok())
            .map(|etag| Etag(etag.to_owned()))
            .ok_or_else(|| unreadable("it has no ETag".to_owned()))?;
        let value = response.json().await.map_err(|error| unreadable(error.without_url().to_string()))?;
        Ok(Some((value, etag)))
    }

    /// Saves `value` if the stored one still has this etag; without an etag only if there is none. Whole seconds of `ttl`.
    pub async fn state_save(
        &self,
        store: &str,
        key: &str,
        value: &(impl Serialize + Sync),
        etag: Option<&Etag>,
        ttl: Option<Duration>,
    ) -> Result<(), Error> {
        let mut item = json!({
            "key": key,
            "value": value,
            "options": {"concurrency": "first-write", "consistency": "strong"},
        });
        if let Some(Etag(etag)) = etag {
            item["etag"] = json!(etag);
        }
        if let Some(ttl) = ttl {
            item["metadata"] = json!({"ttlInSeconds": ttl.as_secs().max(1).to_string()});
        }
        change("saving state", self.http.post(self.url(&["v1.0", "state", store])?).json(&[item])).await
    }

    /// Deletes `key`, with an etag only if it is unchanged. A missing key is no error.
    pub async fn state_delete(&self, store: &str, key: &str, etag: Option<&Etag>) -> Result<(), Error> {
        let mut request = self
            .http
            .delete(self.url(&["v1.0", "state", store, key])?)
            .query(&[("concurrency", "first-write"), ("consistency", "strong")]);
        if let Some(Etag(etag)) = etag {
            request = request.header(header::IF_MATCH, etag);
        }
        change("deleting state", request).await
    }
}

async fn change(operation: &'static str, request: RequestBuilder) -> Result<(), Error> {
    let response = send(operation, request).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let text = response.text().await.unwrap_or_default();
    if is_conflict(status, &text) { Err(Error::Conflict) } else { Err(Error::from_body(operation, status, &text)) }
}

/// PostgreSQL's state store answers 500 where a first write finds that there is a value already.
fn is_conflict(status: StatusCode, body: &str) -> bool {
    status == StatusCode::CONFLICT || (status.is_server_error() && body.contains("no item was updated"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_etag_is_a_conflict() {
        assert!(is_conflict(StatusCode::CONFLICT, ""));
    }

    #[test]
    fn a_value_that_is_there_already_is_a_conflict() {
        let body = r#"{"errorCode":"ERR_STATE_SAVE","message":"failed saving state: no item was updated"}"#;
        assert!(is_conflict(StatusCode::INTERNAL_SERVER_ERROR, body));
    }

    #[test]
    fn a_broken_store_is_no_conflict() {
        assert!(!is_conflict(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"connection refused"}"#));
        assert!(!is_conflict(StatusCode::BAD_REQUEST, ""));
    }
}
