//! The database, with every default filled in.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use todo_crds::platform as api;

use super::{
    Found, ManagedStorage, PodMetadata, SecretRef, Settings, Storage,
    checks::Checks,
    defaults,
    storage::{managed_storage, servers, storage},
};
use crate::names;

/// Where tasks are kept.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Which database.
    pub mode: PostgresMode,
    /// Where the way to it is: made by the operator when embedded, and by CloudNativePG when that runs it.
    pub connection_string: SecretRef,
}

/// Which database.
#[derive(Clone, Debug)]
pub enum PostgresMode {
    /// A database of our own.
    Embedded(Storage),
    /// Someone else's.
    External {
        /// Port that it listens on.
        port: u16,
    },
    /// One that CloudNativePG runs for the platform.
    CloudNativePg(CloudNativePg),
}

/// A cluster that CloudNativePG runs.
#[derive(Clone, Debug)]
pub struct CloudNativePg {
    /// Servers, one of them the primary.
    pub instances: i32,
    /// Volume of each.
    pub storage: ManagedStorage,
}

/// Settings of PostgreSQL.
pub(super) fn postgres(
    checks: &mut Checks,
    spec: Option<&api::PostgresSpec>,
    settings: &Settings,
    found: &Found,
) -> Postgres {
    let spec = spec.cloned().unwrap_or_default();
    checks.at_most_one(
        "spec.postgres",
        &[
            ("embedded", spec.embedded.is_some()),
            ("external", spec.external.is_some()),
            ("cloudNativePg", spec.cloud_native_pg.is_some()),
        ],
    );
    if let Some(external) = &spec.external {
        return Postgres {
            mode: PostgresMode::External { port: found.postgres_port.unwrap_or(names::POSTGRES_PORT) },
            connection_string: checks.secret("spec.postgres.external.connectionString", &external.connection_string),
        };
    }
    if let Some(spec) = &spec.cloud_native_pg {
        const PATH: &str = "spec.postgres.cloudNativePg";
        let instances = spec.instances.unwrap_or(defaults::INSTANCES);
        return Postgres {
            mode: PostgresMode::CloudNativePg(CloudNativePg {
                instances: servers(checks, &format!("{PATH}.instances"), instances),
                storage: managed_storage(checks, PATH, spec.storage.as_ref()),
            }),
            connection_string: SecretRef::new(names::POSTGRES_APP_SECRET, names::URI_KEY),
        };
    }
    let default = Storage {
        image: settings.postgres_image.clone(),
        size: Quantity(defaults::STORAGE_SIZE.to_owned()),
        class: None,
        resources: defaults::postgres_resources(),
        pod: PodMetadata::default(),
    };
    Postgres {
        mode: PostgresMode::Embedded(storage(checks, "spec.postgres.embedded", spec.embedded.as_ref(), default)),
        connection_string: SecretRef::new(names::POSTGRES_SECRET, names::CONNECTION_STRING_KEY),
    }
}
