use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// A value that is kept in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretValue {
    /// Where it is.
    pub secret_key_ref: SecretKeySelector,
}

/// A key of a Secret in the platform's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeySelector {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("a Secret"))]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::text("[-._a-zA-Z0-9]+", "write a key of the Secret's data: letters, digits, -, _ and ."))]
    pub key: String,
}
