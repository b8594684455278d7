//! The CloudNativePG kind that the operator writes, as Rust types. A field is added when the operator writes it; what
//! CloudNativePG says about an object is in its `status`, which is read as it comes.

// `CustomResource` makes the struct of the kind, without words about it.
#![allow(missing_docs)]

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Where the kind is.
pub const GROUP_VERSION: &str = "postgresql.cnpg.io/v1";
/// Its name.
pub const KIND: &str = "Cluster";
/// Label by which pods name the `Cluster` that they belong to.
pub const CLUSTER_LABEL: &str = "cnpg.io/cluster";

/// A cluster of PostgreSQL servers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, CustomResource)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Cluster",
    plural = "clusters",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Servers, one of them the primary.
    pub instances: i32,
    /// Volume of each.
    pub storage: Storage,
    /// What it begins with.
    pub bootstrap: Bootstrap,
}

/// Volume of a server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Its size.
    pub size: Quantity,
    /// Its storage class; the cluster's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// What a cluster begins with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// An empty database.
    pub initdb: InitDb,
}

/// An empty database.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitDb {
    /// Its name.
    pub database: String,
    /// The user that it belongs to. CloudNativePG makes a Secret with everything that is needed to connect as that one.
    pub owner: String,
}

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::*;

    #[test]
    fn the_kind_has_the_names_that_cloud_native_pgs_crd_gives_it() {
        assert_eq!(Cluster::url_path(&(), Some("todo")), "/apis/postgresql.cnpg.io/v1/namespaces/todo/clusters");
        assert_eq!((Cluster::api_version(&()).as_ref(), Cluster::kind(&()).as_ref()), (GROUP_VERSION, KIND));
    }
}
