use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::Type;

/// A user of a Kafka cluster. It has the object's name, and so has the Secret with its password, which Strimzi makes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, CustomResource)]
#[kube(
    group = "kafka.strimzi.io",
    version = "v1",
    kind = "KafkaUser",
    plural = "kafkausers",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaUserSpec {
    /// How it says who it is.
    pub authentication: Type,
    /// What it may do.
    pub authorization: UserAuthorization,
}

/// What a user may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAuthorization {
    /// How that is said.
    #[serde(rename = "type")]
    pub type_: String,
    /// One by one.
    pub acls: Vec<Acl>,
}

/// What a user may do with one thing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Acl {
    /// With which one.
    pub resource: AclResource,
    /// What it may do.
    pub operations: Vec<String>,
}

/// Something that a user may do something with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AclResource {
    /// What it is, `topic` or `group`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Its name.
    pub name: String,
    /// Whether that is its whole name.
    pub pattern_type: String,
}
