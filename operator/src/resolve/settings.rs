//! What is not in the resource: how the operator was started, and what was read of the cluster.

use std::collections::BTreeMap;

use super::{Cidr, SecretRef, Sensitive};

/// What the operator was started with, as far as it shows in the objects that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the services' images are, without a slash at the end.
    pub image_registry: String,
    /// Tag of the services' images where a platform names none.
    pub operator_version: String,
    /// Image of embedded Kafka.
    pub kafka_image: String,
    /// Image of embedded PostgreSQL.
    pub postgres_image: String,
    /// Namespace of the operator's own pods, which the network policies let in.
    pub operator_namespace: String,
    /// Namespace of Dapr's control plane, which the network policies let the sidecars reach.
    pub dapr_namespace: String,
    /// Namespace of what scrapes metrics, which the network policies let in.
    pub monitoring_namespace: String,
    /// Where the API server is, which the network policies let sidecars reach; everywhere if none.
    pub api_server: Vec<Cidr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image_registry: "ghcr.io/todoplatform".to_owned(),
            operator_version: env!("CARGO_PKG_VERSION").to_owned(),
            kafka_image: "apache/kafka:4.0.0".to_owned(),
            postgres_image: "postgres:15-bookworm".to_owned(),
            operator_namespace: "todo-operator".to_owned(),
            dapr_namespace: "dapr-system".to_owned(),
            monitoring_namespace: "monitoring".to_owned(),
            api_server: Vec::new(),
        }
    }
}

/// What only the cluster can tell, read before validation.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// [`digest`] of the value of each named Secret's key that exists. Pods are restarted when one of theirs changes.
    pub digests: BTreeMap<SecretRef, String>,
    /// Port of an external PostgreSQL, taken from its connection string; for the network policies.
    pub postgres_port: Option<u16>,
    /// Fresh values for the Secrets that the operator makes, used only where one does not exist yet.
    pub generated: GeneratedSecrets,
}

/// Fresh values for the Secrets that the operator makes.
#[derive(Clone, Debug, Default)]
pub struct GeneratedSecrets {
    /// Password of embedded Kafka's user.
    pub kafka_password: Sensitive,
    /// Password of embedded PostgreSQL's user. Letters and digits, as it becomes part of a URL.
    pub postgres_password: Sensitive,
    /// Token between each service and its sidecar.
    pub app_token: Sensitive,
    /// Private key of Web Push.
    pub web_push_key: Sensitive,
}
