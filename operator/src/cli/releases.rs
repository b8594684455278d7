//! The operators of a cluster, and whether two of them look after the same namespace: each would undo what the other one
//! did wherever their releases differ. Pure.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use crate::controller::Scope;

/// An operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// Namespace and name of its Deployment.
    name: String,
    /// Name of its Lease.
    pub(super) lease: Option<String>,
    /// Where it works.
    pub(super) scope: Scope,
}

impl Release {
    /// What an operator's Deployment says about it.
    pub(super) fn of(deployment: &Deployment) -> Self {
        let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let variables = || pod.into_iter().flat_map(|pod| &pod.containers).flat_map(|one| one.env.iter().flatten());
        let value =
            |name: &str| variables().find(|variable| variable.name == name).and_then(|found| found.value.clone());
        let excluded = value("EXCLUDED_NAMESPACES").unwrap_or_default();
        Self {
            name: format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any()),
            lease: value("LEASE_NAME"),
            scope: Scope {
                namespace: value("WATCH_NAMESPACE"),
                excluded: excluded.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            },
        }
    }
}

/// Two operators in each other's way, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overlap {
    /// In words.
    pub(super) what: String,
    /// In words.
    pub(super) cure: String,
}

/// All pairs that have a namespace in common.
pub(super) fn overlaps(releases: &[Release]) -> Vec<Overlap> {
    let pairs =
        releases.iter().enumerate().flat_map(|(n, one)| releases[n + 1..].iter().map(move |other| (one, other)));
    pairs.filter_map(|(one, other)| overlap(one, other)).collect()
}

fn overlap(one: &Release, other: &Release) -> Option<Overlap> {
    let both = format!("operators {} and {} both look after", one.name, other.name);
    match (&one.scope.namespace, &other.scope.namespace) {
        (Some(a), Some(b)) if a != b => None,
        (Some(a), Some(_)) => {
            Some(Overlap { what: format!("{both} namespace {a}"), cure: "uninstall one of them".to_owned() })
        }
        (None, None) => Some(Overlap {
            what: format!("{both} the whole cluster"),
            cure: "uninstall one of them, or set its watchNamespace".to_owned(),
        }),
        (Some(only), None) => shared(&both, only, other),
        (None, Some(only)) => shared(&both, only, one),
    }
}

fn shared(both: &str, only: &str, wide: &Release) -> Option<Overlap> {
    (!wide.scope.excluded.iter().any(|name| name == only)).then(|| Overlap {
        what: format!("{both} namespace {only}"),
        cure: format!("add {only} to excludedNamespaces of {}", wide.name),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(name: &str, variables: &[(&str, &str)]) -> Release {
        let env: Vec<_> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"namespace": "ops", "name": name},
            "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "operator", "env": env}]}}},
        }))
        .unwrap();
        Release::of(&deployment)
    }

    #[test]
    fn two_operators_are_in_each_others_way_unless_they_have_no_namespace_in_common() {
        let whole = || release("whole", &[]);
        let but = |names: &str| release("but", &[("EXCLUDED_NAMESPACES", names)]);
        let only = |name: &str| release(name, &[("WATCH_NAMESPACE", name)]);
        for (releases, cures) in [
            (vec![whole()], vec![]),
            (vec![but("a,b"), only("a"), only("b")], vec![]),
            (vec![only("a"), but("b")], vec!["add a to excludedNamespaces of ops/but"]),
            (vec![whole(), only("a")], vec!["add a to excludedNamespaces of ops/whole"]),
            (vec![only("a"), only("a")], vec!["uninstall one of them"]),
            (vec![whole(), but("a")], vec!["uninstall one of them, or set its watchNamespace"]),
        ] {
            let found: Vec<_> = overlaps(&releases).into_iter().map(|overlap| overlap.cure).collect();
            assert_eq!(found, cures, "{releases:?}");
        }
    }
}
