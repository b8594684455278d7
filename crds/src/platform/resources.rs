use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{rules, schema};

/// Size of an embedded volume where none is given.
pub const EMBEDDED_STORAGE_SIZE: &str = "5Gi";
/// Size of each volume of Strimzi and CloudNativePG where none is given.
pub const MANAGED_STORAGE_SIZE: &str = "20Gi";

/// Something that runs in the platform's namespace in a single pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedSpec {
    /// Its volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
    /// Resources of its container; if absent, 50m of CPU and 512Mi of memory for Kafka, 25m and 128Mi for PostgreSQL, each with a
    /// limit of 1Gi of memory. What is written takes the place of all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// More annotations of its pod; not Dapr's and not the operator's own.
    #[schemars(schema_with = "schema::annotations")]
    #[x_kube(validation = rules::pod_annotations(), validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// More labels of its pod; not Dapr's and not the operator's own.
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = rules::pod_labels(), validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageSpec {
    /// Size, at least 1Gi; 5Gi where embedded and 20Gi elsewhere if absent. It can only grow, and only where the storage
    /// class allows that.
    #[schemars(schema_with = "schema::size")]
    #[x_kube(validation = rules::volume_size())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// Storage class; the cluster's default if absent. It cannot be changed later.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("a StorageClass"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// Resources of a container. Whatever is given here takes the place of all that is set otherwise; `{}` changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::request_within_limit("cpu"),
    validation = rules::request_within_limit("memory"),
    validation = rules::request_within_limit("ephemeral-storage"),
    validation = rules::requests_are_limits(),
    validation = rules::huge_pages_beside_others()
)]
pub struct Resources {
    /// What is set aside for it.
    #[schemars(schema_with = "schema::quantities")]
    #[x_kube(validation = rules::resource_names(), validation = rules::whole_resources(), validation = rules::huge_pages())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// The most that it may use.
    #[schemars(schema_with = "schema::quantities")]
    #[x_kube(validation = rules::resource_names(), validation = rules::whole_resources(), validation = rules::huge_pages())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}
