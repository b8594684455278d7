//! What a sidecar says about itself, and secrets.

use std::collections::BTreeMap;

use reqwest::Response;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Client, Error, send, success};
use crate::Sensitive;

/// What a sidecar has loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// App id.
    #[serde(default)]
    pub id: String,
    /// Dapr's version.
    #[serde(rename = "runtimeVersion", default)]
    pub runtime_version: String,
    /// Components that are loaded; one that failed is not here.
    #[serde(default)]
    pub components: Vec<Component>,
}

/// A loaded component.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Component {
    /// Name, for example `kafka-pubsub`.
    pub name: String,
    /// Type, for example `pubsub.kafka`.
    #[serde(rename = "type", default)]
    pub type_: String,
}

impl Client {
    /// All keys of a secret.
    pub async fn secret(&self, store: &str, name: &str) -> Result<BTreeMap<String, Sensitive>, Error> {
        let operation = "reading a secret";
        let request = self.http.get(self.url(&["v1.0", "secrets", store, name])?);
        let response = success(operation, send(operation, request).await?).await?;
        let keys: BTreeMap<String, String> = read(operation, response).await?;
        Ok(keys.into_iter().map(|(key, value)| (key, Sensitive::new(value))).collect())
    }

    /// Whether the sidecar has loaded its components. This does not wait for the app's own port, so it can be asked at start.
    pub async fn outbound_ready(&self) -> bool {
        let Ok(url) = self.url(&["v1.0", "healthz", "outbound"]) else { return false };
        send("asking for health", self.http.get(url)).await.is_ok_and(|response| response.status().is_success())
    }

    /// What the sidecar has loaded.
    pub async fn metadata(&self) -> Result<Metadata, Error> {
        let operation = "asking for metadata";
        let response = send(operation, self.http.get(self.url(&["v1.0", "metadata"])?)).await?;
        read(operation, success(operation, response).await?).await
    }
}

async fn read<T: DeserializeOwned>(operation: &'static str, response: Response) -> Result<T, Error> {
    // The cause may quote the body, which may be a secret.
    response
        .json()
        .await
        .map_err(|_| Error::Unreadable { operation, message: "it is not the JSON that Dapr documents".to_owned() })
}
