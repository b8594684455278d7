//! The database, with every default filled in.

use super::{SecretRef, Storage};

/// Where tasks are kept.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Which database.
    pub mode: PostgresMode,
    /// Where the way to it is: made by the operator when embedded.
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
}
