//! What every controller needs: election, health, metrics, traces, events and logs.

pub mod events;
pub mod health;
pub mod lease;
pub mod metrics;
pub mod telemetry;
pub mod traces;
