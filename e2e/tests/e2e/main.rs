//! Whole systems on the real cluster: `cargo xtask test e2e`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a scenario fails by panicking, as every test does")]

mod api;
mod broker;
mod channels;
mod chaos;
mod conflict;
mod contract;
mod conversation;
mod dead_letters;
mod drift;
mod encrypted;
mod everyday;
mod external;
mod granted;
mod live;
mod local;
mod logs;
mod long_outage;
mod mcp;
mod observability;
mod outage;
mod page;
mod ready;
mod recurrence;
mod release;
mod reminders;
mod repeated;
mod replaced;
mod retain;
mod rollout;
mod security;
mod shared;
mod sidecar;
mod statuses;
mod strangers;
mod traces;
