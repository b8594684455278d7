//! Volumes of what is embedded and of what another operator runs, with every default filled in.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use todo_crds::platform as api;

use super::{
    PodMetadata, check,
    checks::Checks,
    container::{pod_metadata, resources},
    defaults,
};

/// Most brokers or servers that another operator runs.
const MOST_SERVERS: i64 = 9;

/// Disk and resources of something embedded.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Image that it runs.
    pub image: String,
    /// Size of its volume.
    pub size: Quantity,
    /// Storage class; the cluster's default if none.
    pub class: Option<String>,
    /// Resources of its container.
    pub resources: ResourceRequirements,
    /// What a user adds to its pod.
    pub pod: PodMetadata,
}

/// Volume of each of several servers that another operator runs.
#[derive(Clone, Debug)]
pub struct ManagedStorage {
    /// Its size.
    pub size: Quantity,
    /// Storage class; the cluster's default if none.
    pub class: Option<String>,
}

/// How many brokers or servers another operator runs.
pub(super) fn servers(checks: &mut Checks, path: &str, number: i32) -> i32 {
    checks.take(path, check::number(i64::from(number), 1, MOST_SERVERS));
    number
}

/// What is given, and the default for the rest.
pub(super) fn managed_storage(checks: &mut Checks, path: &str, spec: Option<&api::StorageSpec>) -> ManagedStorage {
    let spec = spec.cloned().unwrap_or_default();
    let size = spec.size.unwrap_or_else(|| Quantity(defaults::MANAGED_STORAGE_SIZE.to_owned()));
    checks.test(&format!("{path}.storage.size"), check::volume_size(&size.0));
    ManagedStorage { size, class: spec.storage_class_name }
}

/// What is given, and the default for the rest.
pub(super) fn storage(checks: &mut Checks, path: &str, spec: Option<&api::EmbeddedSpec>, default: Storage) -> Storage {
    let Some(spec) = spec else { return default };
    let volume = spec.storage.clone().unwrap_or_default();
    let size = volume.size.unwrap_or(default.size);
    checks.test(&format!("{path}.storage.size"), check::volume_size(&size.0));
    Storage {
        size,
        class: volume.storage_class_name,
        resources: resources(checks, &format!("{path}.resources"), spec.resources.as_ref(), default.resources),
        pod: pod_metadata(checks, path, spec.pod_annotations.clone(), spec.pod_labels.clone()),
        image: default.image,
    }
}
