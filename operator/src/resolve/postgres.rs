//! The database, with every default filled in.

use super::{ManagedStorage, SecretRef, Storage};

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
