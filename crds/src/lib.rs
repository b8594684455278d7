//! The `TodoPlatform` resource, and the kinds of others that the operator writes, as Rust types.

pub mod cloud_native_pg;
pub mod dapr;
pub mod platform;
pub mod strimzi;
