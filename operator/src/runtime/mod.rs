//! What every controller needs: election, health, metrics, events and logs.

pub mod events;
pub mod health;
pub mod lease;
pub mod metrics;
pub mod telemetry;
