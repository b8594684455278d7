//! Start script of embedded PostgreSQL.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use crate::{build::owned, names, resolve::Resolved};

/// `ConfigMap` of the server.
pub(super) fn build(platform: &Resolved) -> ConfigMap {
    ConfigMap {
        metadata: owned(platform, names::POSTGRES_CONFIG, Some(names::POSTGRES)),
        data: Some(data()),
        ..ConfigMap::default()
    }
}

/// The files, by name.
pub(super) fn data() -> BTreeMap<String, String> {
    BTreeMap::from([("start.sh".to_owned(), include_str!("start.sh").to_owned())])
}
