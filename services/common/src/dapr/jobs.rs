//! Jobs of Dapr's scheduler.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::{Client, Error, send, success};

impl Client {
    /// Has `POST /job/{name}` of this app called at a moment, in one of its replicas. There is one job of a name: it is set
    /// to another moment by this.
    pub async fn set_job(&self, name: &str, at: DateTime<Utc>) -> Result<(), Error> {
        let operation = "setting a job";
        // The stable path of this is only in Dapr 1.18 and later.
        let url = self.url(&["v1.0-alpha1", "jobs", name])?;
        let due = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let request = self.http.post(url).json(&json!({"dueTime": due, "data": name, "overwrite": true}));
        success(operation, send(operation, request).await?).await.map(drop)
    }
}
