//! Pods that should have a sidecar and have none. Dapr's injector lets a pod pass without one when it is down at that
//! moment, and never looks at it again; only a new pod gets one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;

use crate::{dereference::cluster::Injector, names::App};

/// Name of the sidecar's container.
pub const DAPRD: &str = "daprd";
/// Wait before the first repair; doubled with each one.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// Longest wait between two repairs.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// After so long without a repair the wait begins anew.
const CALM: Duration = Duration::from_mins(30);

/// Whether a pod is one whose sidecar matters: not one that has ended, nor a copy that a person runs to look into something.
pub(super) fn counts(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let mut owners = pod.metadata.owner_references.iter().flatten();
    !matches!(phase, Some("Succeeded" | "Failed"))
        && owners.any(|owner| owner.controller == Some(true) && owner.kind == "ReplicaSet")
}

/// Whether a pod has a sidecar.
pub fn has_one(pod: &Pod) -> bool {
    let spec = pod.spec.iter();
    let mut containers = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    containers.any(|container| container.name == DAPRD)
}

/// When pods without a sidecar are deleted: one of a service at a time, and ever less often, so that a mistake in
/// Dapr's settings does not keep the cluster busy.
#[derive(Debug, Default)]
pub struct Repairs {
    done: BTreeMap<App, Repair>,
}

#[derive(Debug)]
struct Repair {
    last: Instant,
    wait: Duration,
}

impl Repairs {
    /// The pod of a service that is to be deleted now, if one is.
    pub fn take_due(&mut self, app: App, without: &[String], injector: &Injector, now: Instant) -> Option<String> {
        let pod = without.first()?;
        if !matches!(injector, Injector::Ready { .. }) {
            return None;
        }
        self.done.retain(|_, repair| now.duration_since(repair.last) < CALM);
        let wait = match self.done.get(&app) {
            Some(repair) if now < repair.last + repair.wait => return None,
            Some(repair) => (repair.wait * 2).min(LONGEST_WAIT),
            None => FIRST_WAIT,
        };
        self.done.insert(app, Repair { last: now, wait });
        Some(pod.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn neither_a_pod_that_has_ended_nor_one_that_a_person_runs_needs_a_sidecar() {
        let pod = |phase: &str, owner: &str| {
            let owners = json!([{"apiVersion": "apps/v1", "kind": owner, "name": "x", "uid": "1", "controller": true}]);
            let owners = if owner.is_empty() { json!([]) } else { owners };
            counts(
                &serde_json::from_value(json!({"metadata": {"ownerReferences": owners}, "status": {"phase": phase}}))
                    .unwrap(),
            )
        };
        assert!(pod("Running", "ReplicaSet"));
        assert!(!pod("Failed", "ReplicaSet") && !pod("Running", "") && !pod("Running", "Job"));
    }

    #[test]
    fn pods_without_a_sidecar_are_deleted_one_at_a_time_and_ever_less_often() {
        let ready = Injector::Ready { version: None, drops_capabilities: true };
        let (mut repairs, start) = (Repairs::default(), Instant::now());
        let pods = ["a".to_owned(), "b".to_owned()];
        let mut at =
            |seconds| repairs.take_due(App::Backend, &pods, &ready, start + Duration::from_secs(seconds)).is_some();
        assert_eq!([0, 5, 10, 20, 29, 30, 69, 70].map(&mut at), [true, false, true, false, false, true, false, true]);
    }

    #[test]
    fn nothing_is_deleted_while_a_new_pod_would_have_no_sidecar_either() {
        let mut repairs = Repairs::default();
        for injector in [Injector::Unknown, Injector::Missing, Injector::NotReady] {
            assert_eq!(repairs.take_due(App::Backend, &["a".to_owned()], &injector, Instant::now()), None);
        }
    }
}
