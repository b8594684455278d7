//! Operator.
pub mod build;
pub mod cli;
pub mod labels;
pub mod names;
pub mod resolve;
