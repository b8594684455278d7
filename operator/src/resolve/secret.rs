//! Secrets: only by reference, and never printed.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sensitive(String);

impl Sensitive {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for writing it into a Secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// A key of a Secret in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
}

impl SecretRef {
    /// A key of a Secret.
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: key.into() }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {} key {}", self.name, self.key)
    }
}

/// The first 16 hexadecimal digits of a SHA-256: enough to tell two settings, or two values of a Secret, apart.
pub fn short_hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..8])
}

/// A key of a Secret that something waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
    /// Components, services and embedded parts that need it.
    pub used_by: BTreeSet<String>,
    /// Who makes the Secret when there is none.
    pub maker: Maker,
}

/// Who makes a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Maker {
    /// Whoever made the platform.
    User,
    /// The operator.
    Operator,
    /// Another operator that runs something for the platform.
    Other(&'static str),
}
