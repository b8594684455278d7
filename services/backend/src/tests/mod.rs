//! Requests on the whole router, with a real database and a stand-in for the sidecar.

mod calendar;
mod chat;
mod contract;
mod data_path;
mod fixture;
mod idempotency;
mod mcp;
mod reminders;
mod sidecar;
mod streams;
mod tasks;
mod transfer;

pub(crate) use fixture::with_backend;
