//! The four services.

mod channels;
pub mod deployment;
mod env;
mod hpa;
mod pdb;
mod rbac;
mod service;

use super::{Object, Policy, Wave};
use crate::{names::App, resolve::Resolved};

/// Everything of one service but its network policy.
pub(super) fn objects(platform: &Resolved, app: App) -> Vec<Object> {
    let mut objects = vec![Object::of(Wave::Foundation, Policy::Apply, &rbac::service_account(platform, app))];
    if let Some((role, binding)) = rbac::role_and_binding(platform, app) {
        objects.push(Object::of(Wave::Foundation, Policy::Apply, &role));
        objects.push(Object::of(Wave::Foundation, Policy::Apply, &binding));
    }
    if let Some(pdb) = pdb::build(platform, app) {
        objects.push(Object::of(Wave::Foundation, Policy::Apply, &pdb));
    }
    objects.push(Object::of(Wave::Workload, Policy::Apply, &service::build(platform, app)));
    objects.push(Object::of(Wave::Workload, Policy::Apply, &deployment::build(platform, app)));
    if let Some(hpa) = hpa::build(platform, app) {
        objects.push(Object::of(Wave::Workload, Policy::Apply, &hpa));
    }
    objects
}
