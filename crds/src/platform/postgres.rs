use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    resources::{EmbeddedSpec, StorageSpec},
    rules,
    secret::SecretValue,
};

/// Where tasks are kept. At most one of `embedded`, `external` and `cloudNativePg`; none means `embedded`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::at_most_one(&["embedded", "external", "cloudNativePg"]))]
pub struct PostgresSpec {
    /// A server in the platform's namespace, in a single pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedSpec>,
    /// A database that someone else runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPostgresSpec>,
    /// A cluster that the CloudNativePG operator runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePgSpec>,
}

/// A database that someone else runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPostgresSpec {
    /// The way to it, as a URL: `postgres://user:password@host:5432/database?sslmode=require`. Dapr cannot read the other
    /// form of `key=value` pairs if a value has blanks.
    pub connection_string: SecretValue,
}

/// A cluster that the CloudNativePG operator runs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudNativePgSpec {
    /// Servers, one of them the primary; 3 if absent.
    #[schemars(range(min = 1, max = 9))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<i32>,
    /// Volume of each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
}
