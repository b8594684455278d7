//! The schema of the resource as it is installed: that it is complete and bounded, and what its rules refuse.

// Marked, so that helpers may unwrap as tests do.
#[cfg(test)]
#[path = "../cel/mod.rs"]
mod cel;
#[cfg(test)]
mod compatibility;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod schema;
