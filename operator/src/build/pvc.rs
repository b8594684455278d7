//! Volume claims of embedded data.
//!
//! They are objects of their own and not templates of the StatefulSets: a template can never be changed, but a size
//! may grow and `deletionPolicy` may be changed, and both work on a claim.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};

use super::{Object, Policy, Wave, data_metadata, pod::texts};
use crate::resolve::{Resolved, Storage};

/// The claim of `component`.
pub(super) fn object(platform: &Resolved, component: &str, name: &str, storage: &Storage) -> Object {
    let claim = PersistentVolumeClaim {
        metadata: data_metadata(platform, name, Some(component)),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(texts(&["ReadWriteOnce"])),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), storage.size.clone())])),
                limits: None,
            }),
            storage_class_name: storage.class.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    };
    Object::of(Wave::Foundation, Policy::Apply, &claim)
}
