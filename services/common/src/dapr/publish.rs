//! Publish and service invocation.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::{Client, Error, send, success};

impl Client {
    /// Publishes `payload` as the data of a CloudEvent with this id. Events of one `partition_key` keep their order.
    /// Returns when the broker has acknowledged it.
    pub async fn publish(
        &self,
        pubsub: &str,
        topic: &str,
        event_id: &str,
        partition_key: &str,
        payload: &(impl Serialize + Sync),
    ) -> Result<(), Error> {
        let operation = "publishing an event";
        let request = self
            .http
            .post(self.url(&["v1.0", "publish", pubsub, topic])?)
            .query(&[("metadata.cloudevent.id", event_id), ("metadata.partitionKey", partition_key)])
            // Sets the content type: without it subscribers get a string instead of an object.
            .json(payload);
        success(operation, send(operation, request).await?).await.map(drop)
    }

    /// Calls another app's method and reads its JSON answer; an empty answer is `null`.
    pub async fn invoke(
        &self,
        app: &str,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Value, Error> {
        let operation = "calling another service";
        let mut segments = vec!["v1.0", "invoke", app, "method"];
        segments.extend(path.trim_start_matches('/').split('/'));
        let request = self.http.request(method, self.url(&segments)?).json(body);
        let response = success(operation, send(operation, request).await?).await?;
        let unreadable = |message: String| Error::Unreadable { operation, message };
        let bytes = response.bytes().await.map_err(|error| unreadable(error.without_url().to_string()))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
    }
}
