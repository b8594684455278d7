//! Versions of objects, which the API server gives as texts.

/// A version as a number; they grow.
pub(crate) fn number(version: Option<&str>) -> Option<u64> {
    version?.parse().ok()
}

/// A resource version as a number; 0 if there is none.
pub(crate) fn or_first(version: Option<&str>) -> u64 {
    number(version).unwrap_or_default()
}
