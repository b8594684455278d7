//! What the services share. One module per subject; decisions are pure functions, I/O is at the edge.
//!
//! - A change of a task and its event are one transaction ([`tasks`], [`outbox`]); a relay publishes events in order per task.
//! - A consumer's effect and its mark that the event was handled are one transaction ([`consumer`], [`inbox`]).
//! - What cannot be handled is kept where a person finds it ([`dead_letters`]).

pub mod apps;
pub mod auth;
pub mod canary;
pub mod config;
pub mod consumer;
pub mod cursor;
pub mod dapr;
pub mod database;
pub mod dead_letters;
pub mod events;
pub mod exit;
pub mod health;
pub mod idempotency;
pub mod inbox;
pub mod notifications;
pub mod openapi;
pub mod outbox;
pub mod problem;
pub mod recurrence;
mod retention;
mod sensitive;
pub mod server;
pub mod tasks;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod unread;

pub use sensitive::Sensitive;
