//! Service invocation.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Client, Error, send, success};
use crate::idempotency::REQUEST_ID;

impl Client {
    /// Calls another app's method and reads its JSON answer; an empty answer is `null`. The sidecar may send it twice: by its `id` the
    /// other app knows.
    pub async fn invoke(
        &self,
        app: &str,
        method: Method,
        path: &str,
        id: Uuid,
        body: &(impl Serialize + Sync),
    ) -> Result<Value, Error> {
        let operation = "calling another service";
        let mut segments = vec!["v1.0", "invoke", app, "method"];
        segments.extend(path.trim_start_matches('/').split('/'));
        let request = self.http.request(method, self.url(&segments)?).header(REQUEST_ID, id.to_string()).json(body);
        let response = success(operation, send(operation, request).await?).await?;
        let unreadable = |message: String| Error::Unreadable { operation, message };
        let bytes = response.bytes().await.map_err(|error| unreadable(error.without_url().to_string()))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
    }
}
