//! What the operator makes of a platform, held whole: a difference in these snapshots is a difference in the clusters
//! of everybody who upgrades.

mod frozen;
mod hash;
mod network;
mod objects;
mod pod_security;
mod specification;
mod support;
mod validation;
