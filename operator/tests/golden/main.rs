//! What the operator makes of a platform, held whole: a difference in these snapshots is a difference in the clusters
//! of everybody who upgrades.

// Marked, so that helpers may unwrap as tests do.
#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "of the tables only what the operator says is looked at here")]
#[path = "../../../crds/tests/cel/mod.rs"]
mod cel;
#[cfg(test)]
mod channels;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod frozen;
#[cfg(test)]
mod hash;
#[cfg(test)]
mod local;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod network;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod pod_security;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod specification;
#[cfg(test)]
mod support;
#[cfg(test)]
mod validation;
