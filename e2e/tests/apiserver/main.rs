//! The resource before a real API server: `cargo xtask test apiserver`. Nothing of a platform is made: what is stored is
//! suspended, all else is a dry run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed scenario may panic")]

#[path = "../../../crds/tests/cel/mod.rs"]
mod cel;
mod rules;
mod samples;
