use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What the operator found.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TodoPlatformStatus {
    /// Generation of the spec that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the page is: the host of the ingress, or else the frontend's address inside the cluster. `https://` with an
    /// Ingress that has a `tlsSecretName`, and `http://` otherwise, with a Gateway, too: which of its listeners have a
    /// certificate the operator does not look at.
    #[schemars(length(max = 512))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Services that are ready and all there are, for example `4/4`. What is embedded is told by `InfrastructureReady`.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services_ready: Option<String>,
    /// What is and what is not, each with a reason.
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Dapr's components, as the sidecars have them.
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentStatus>,
    /// The services, as they run.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceStatus>,
    /// Fields that somebody else took from the operator.
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["object".to_owned(), "field".to_owned(), "manager".to_owned()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ownership_conflicts: Vec<OwnershipConflict>,
}

/// A component of Dapr, as the sidecars have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Name of the component.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its type, for example `pubsub.kafka`.
    #[schemars(length(max = 253))]
    #[serde(rename = "type")]
    pub type_: String,
    /// Version of its implementation.
    #[schemars(length(max = 32))]
    pub version: String,
    /// Sidecars that have loaded it.
    pub loaded_by: i32,
    /// Sidecars that should have.
    pub expected: i32,
    /// What a sidecar that could not load it says.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A service, as it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its Dapr app id, which is also the name of its Deployment.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Image that it is to run.
    #[schemars(length(max = 512))]
    pub image: String,
    /// Pods that it is to have.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that are enough: fewer than the spec says while more are on the way, or more than `replicas`. Absent when it needs
    /// as many as the spec says and there are to be as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<i32>,
    /// Pods with a sidecar.
    pub sidecars: i32,
    /// What is wrong with it.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A field that somebody else took from the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnershipConflict {
    /// Kind and name, for example `Deployment/backend-service`.
    #[schemars(length(max = 320))]
    pub object: String,
    /// Path of the field.
    #[schemars(length(max = 512))]
    pub field: String,
    /// Field manager that took it.
    #[schemars(length(max = 128))]
    pub manager: String,
    /// What became of it.
    #[schemars(length(max = 1024))]
    pub message: String,
}
