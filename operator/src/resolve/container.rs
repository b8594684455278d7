//! What every container and pod has, with every default filled in.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use todo_crds::platform as api;

use super::{check, checks::Checks, quantity};

/// Most characters of an amount.
const LONGEST_AMOUNT: usize = 64;

/// What a user adds to pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodMetadata {
    /// More annotations.
    pub annotations: BTreeMap<String, String>,
    /// More labels.
    pub labels: BTreeMap<String, String>,
}

/// What a user adds to pods, but for what is the operator's.
pub(super) fn pod_metadata(
    checks: &mut Checks,
    path: &str,
    annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
) -> PodMetadata {
    for name in annotations.keys() {
        checks.test(&format!("{path}.podAnnotations"), check::pod_annotation(name));
    }
    for name in labels.keys() {
        checks.test(&format!("{path}.podLabels"), check::pod_label(name));
    }
    PodMetadata { annotations, labels }
}

/// Resources of a container: what is given takes the place of the whole default; nothing given leaves it.
pub(super) fn resources(
    checks: &mut Checks,
    path: &str,
    spec: Option<&api::Resources>,
    default: ResourceRequirements,
) -> ResourceRequirements {
    for (field, list) in spec.into_iter().flat_map(|spec| [("requests", &spec.requests), ("limits", &spec.limits)]) {
        for name in list.keys() {
            checks.test(&format!("{path}.{field}.{name}"), check::resource_name(name));
        }
    }
    amounts(checks, path, spec, default)
}

/// As [`resources`], whatever their names.
pub(super) fn amounts(
    checks: &mut Checks,
    path: &str,
    spec: Option<&api::Resources>,
    default: ResourceRequirements,
) -> ResourceRequirements {
    let Some(spec) = spec.filter(|spec| !spec.requests.is_empty() || !spec.limits.is_empty()) else { return default };
    for (field, list) in [("requests", &spec.requests), ("limits", &spec.limits)] {
        for (name, amount) in list {
            let is_amount = quantity::value(&amount.0).is_some_and(|amount| amount >= 0.0);
            if !is_amount || amount.0.len() > LONGEST_AMOUNT {
                let message =
                    format!("{:?} is no quantity; write for example 100m of cpu or 128Mi of memory", amount.0);
                checks.refuse(format!("{path}.{field}.{name}"), message);
            }
        }
    }
    for (name, request) in &spec.requests {
        let limit = spec.limits.get(name).and_then(|limit| quantity::value(&limit.0));
        if let (Some(request), Some(limit)) = (quantity::value(&request.0), limit)
            && request > limit
        {
            checks.refuse(format!("{path}.limits.{name}"), "is below the request; write a limit that is at least that");
        }
    }
    let list = |list: &BTreeMap<String, Quantity>| (!list.is_empty()).then(|| list.clone());
    ResourceRequirements {
        requests: list(&spec.requests),
        limits: list(&spec.limits),
        ..ResourceRequirements::default()
    }
}
