use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::ContainerTemplate;

/// Nodes of a Kafka cluster that are alike.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, CustomResource)]
#[kube(
    group = "kafka.strimzi.io",
    version = "v1",
    kind = "KafkaNodePool",
    plural = "kafkanodepools",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaNodePoolSpec {
    /// How many there are.
    pub replicas: i32,
    /// What they do.
    pub roles: Vec<Role>,
    /// Their volumes.
    pub storage: PoolStorage,
    /// Their pods.
    pub template: NodePoolTemplate,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Keeps the cluster's metadata.
    Controller,
    /// Keeps events and serves clients.
    Broker,
}

/// Volumes of each node.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStorage {
    /// The kind of storage; `jbod`, as others can get no further volume later.
    #[serde(rename = "type")]
    pub type_: String,
    /// The volumes.
    pub volumes: Vec<Volume>,
}

/// A volume of each node.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its number.
    pub id: i32,
    /// The kind of volume.
    #[serde(rename = "type")]
    pub type_: String,
    /// Its size.
    pub size: Quantity,
    /// Its storage class; the cluster's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Whether it goes with the cluster.
    pub delete_claim: bool,
    /// Where the cluster's metadata is, of several volumes; `shared` is the one with it.
    pub kraft_metadata: String,
}

/// Pods of the nodes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePoolTemplate {
    /// The container that runs Kafka.
    pub kafka_container: ContainerTemplate,
}
