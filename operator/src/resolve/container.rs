//! What every container and pod has, with every default filled in.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use todo_crds::platform as api;

use super::{check, checks::Checks, quantity};

/// What a container may use more of than it has requested.
const SHARED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// What huge pages are called, before their size.
const HUGE_PAGES: &str = "hugepages-";
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
    unshared(checks, path, spec);
    let list = |list: &BTreeMap<String, Quantity>| (!list.is_empty()).then(|| list.clone());
    ResourceRequirements {
        requests: list(&spec.requests),
        limits: list(&spec.limits),
        ..ResourceRequirements::default()
    }
}

/// Of what cannot be shared, a container gets whole pieces, and as many as it asks for. What has no name is refused for that.
fn unshared(checks: &mut Checks, path: &str, spec: &api::Resources) {
    let lists = [("requests", &spec.requests), ("limits", &spec.limits)];
    for (field, list) in lists {
        for (name, amount) in list.iter().filter(|(name, _)| is_unshared(name)) {
            let Some(amount) = quantity::value(&amount.0) else { continue };
            if let Some(why) = in_pieces(name, amount) {
                checks.refuse(format!("{path}.{field}.{name}"), why);
            }
        }
    }
    for (name, request) in spec.requests.iter().filter(|(name, _)| is_unshared(name)) {
        let value = |amount: &Quantity| quantity::value(&amount.0);
        let (request, limit) = (value(request), spec.limits.get(name).and_then(value));
        // Below the request it is refused for that.
        if limit.is_none() || limit > request {
            let why = "cannot be another amount than the request; write the same, or no request";
            checks.refuse(format!("{path}.limits.{name}"), why);
        }
    }
    let has = |holds: fn(&str) -> bool| lists.iter().any(|(_, list)| list.keys().any(|name| holds(name)));
    if has(|name| name.starts_with(HUGE_PAGES)) && !has(|name| ["cpu", "memory"].contains(&name)) {
        checks.refuse(path.to_owned(), "has huge pages and nothing else; write cpu or memory beside them");
    }
}

fn is_unshared(name: &str) -> bool {
    !SHARED.contains(&name) && check::resource_name(name).is_ok()
}

/// Why there is no such amount of something that comes in pieces, if there is not.
fn in_pieces(name: &str, amount: f64) -> Option<&'static str> {
    let is_whole = |number: f64| (number - number.round()).abs() < 1e-6;
    match name.strip_prefix(HUGE_PAGES) {
        None => (!is_whole(amount)).then_some("is no whole number; write for example 1"),
        Some(size) => {
            let fits = |size: f64| size > 0.0 && is_whole(size) && is_whole(amount / size);
            (!quantity::value(size).is_some_and(fits))
                .then_some("is no multiple of the size of a page; write for example hugepages-2Mi: 4Mi")
        }
    }
}
