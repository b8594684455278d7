use std::collections::BTreeMap;

use k8s_openapi::api::{
    core::v1::{EnvVar, SecurityContext},
    networking::v1::NetworkPolicyPeer,
};
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Type;

/// A Kafka cluster. Its nodes are in `KafkaNodePool`s.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, CustomResource)]
#[kube(group = "kafka.strimzi.io", version = "v1", kind = "Kafka", plural = "kafkas", namespaced, schema = "disabled")]
#[serde(rename_all = "camelCase")]
pub struct KafkaSpec {
    /// The brokers, as far as all of them are alike.
    pub kafka: KafkaClusterSpec,
    /// What looks after topics and users.
    pub entity_operator: EntityOperatorSpec,
}

/// Brokers, as far as all of them are alike.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterSpec {
    /// Where clients reach them.
    pub listeners: Vec<Listener>,
    /// How it is decided who may do what.
    pub authorization: Type,
    /// Kafka's own settings.
    pub config: BTreeMap<String, Value>,
}

/// Where clients reach the brokers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its port on each broker and on the bootstrap Service.
    pub port: u16,
    /// From where it is reached.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// How clients say who they are.
    pub authentication: Type,
    /// The pods that may reach it; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy_peers: Option<Vec<NetworkPolicyPeer>>,
}

/// What looks after topics and users.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityOperatorSpec {
    /// What looks after topics.
    pub topic_operator: OperatorSpec,
    /// What looks after users.
    pub user_operator: OperatorSpec,
    /// Its pod.
    pub template: EntityOperatorTemplate,
}

/// That one of the operators is there; its settings are Strimzi's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct OperatorSpec {}

/// The pod that looks after topics and users.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityOperatorTemplate {
    /// The container for topics.
    pub topic_operator_container: ContainerTemplate,
    /// The container for users.
    pub user_operator_container: ContainerTemplate,
}

/// What is set for a container beside what Strimzi sets.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerTemplate {
    /// Its security.
    pub security_context: SecurityContext,
    /// Variables of its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
}
