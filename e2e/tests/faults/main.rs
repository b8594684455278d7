//! The operator while things go wrong: `cargo xtask test faults`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed scenario may panic")]

mod chart;
mod conflict;
mod events;
mod foreign;
mod health;
mod isolation;
mod late;
mod lease;
mod leaves;
mod leaving;
mod managed;
mod matrix;
mod optional;
mod owners;
mod preflight;
mod quiet;
mod repair;
mod replicas;
mod restart;
mod scene;
mod secrets;
mod stop;
mod support;
mod suspend;
mod traces;
mod truth;
mod uninstall;
