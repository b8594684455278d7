//! The `TodoPlatform` operator.
//!
//! A pass over a platform ([`controller`]) goes: [`dereference`] reads what the spec points at, [`resolve`] checks it and
//! fills in every default, [`build`] makes all objects of it, [`plan`] compares them with what there is, [`apply`] writes
//! what differs, [`topics`] asks the broker, [`observe`] looks at what runs, [`status`] says so. `resolve`, `build`, `plan`
//! and the conditions of `status` are pure: no client, no clock, no chance.

pub mod apply;
pub mod build;
pub mod class;
pub mod cli;
pub mod controller;
pub mod dereference;
pub mod labels;
pub mod names;
pub mod observe;
pub mod plan;
pub mod resolve;
mod resource_version;
pub mod runtime;
pub mod status;
mod text;
pub mod topics;
