//! A real cluster on this machine, and all that the scenarios and `cargo xtask` share.
//!
//! Nothing here is a stand-in for Kubernetes or Dapr: [`cluster`] brings up kind with Dapr's control plane, [`images`]
//! builds what runs on it, [`harness`] drives and watches it from the scenarios, and [`chaos`] breaks it. What an operator
//! does when things go wrong is tried on a bare [`control_plane`], with a [`proxy`] before it and the operator as a process:
//! [`faults`]. What [`monitoring`] asks of a platform is read from the files that are delivered, and what [`rights`] the
//! operator uses from the audit log of the cluster.
#![forbid(unsafe_code)]

pub mod cargo_tool;
pub mod chaos;
pub mod cluster;
pub mod command;
pub mod control_plane;
pub mod faults;
pub mod harness;
pub mod images;
pub mod monitoring;
pub mod progress;
pub mod proxy;
pub mod rights;
