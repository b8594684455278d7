//! The `TodoPlatform` resource, and the Dapr kinds that the operator writes, as Rust types.

pub mod dapr;
pub mod platform;
