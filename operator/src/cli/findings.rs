//! What `preflight` finds, each with its cure in words. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use k8s_openapi::{api::rbac::v1::PolicyRule, apimachinery::pkg::version::Info};
use serde_json::Value;

use super::{
    releases::{self, Release},
    skew::Skew,
    tree::{Mark, Paint},
};
use crate::{
    build::monitoring,
    dereference::cluster::{Cluster, Injector, version_warning},
    observe::managed::{CLOUD_NATIVE_PG, Other, STRIMZI},
};

/// Oldest minor version of Kubernetes 1 that the operator is made for.
const OLDEST_MINOR: u32 = 30;
/// What the operator does in the namespaces of platforms, as the chart grants it.
const RULES: &str = include_str!("../../../helm/todo-operator/files/rules.yaml");

/// Something that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Bad if it is missing, unsure if it is a warning.
    pub(super) mark: Mark,
    what: String,
    cure: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { mark: Mark::Good, what: what.into(), cure: None }
    }

    fn warning(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { mark: Mark::Unsure, what: what.into(), cure: Some(cure.into()) }
    }

    fn missing(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { mark: Mark::Bad, what: what.into(), cure: Some(cure.into()) }
    }
}

/// What is printed. A cure of several findings is named once, below the last of them.
pub(super) fn report(found: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    for (index, finding) in found.iter().enumerate() {
        let next = found.get(index + 1).and_then(|next| next.cure.as_ref());
        let cure = finding.cure.as_ref().filter(|cure| Some(*cure) != next);
        let cure = cure.map(|cure| format!("  → {cure}\n")).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = write!(text, "{} {}\n{cure}", paint.mark(finding.mark), finding.what);
    }
    text
}

/// Whether Kubernetes is new enough.
pub(super) fn kubernetes(version: &Info) -> Finding {
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
    let what = format!("Kubernetes {}", version.git_version);
    match (number(&version.major), number(&version.minor)) {
        (Some(major), Some(minor)) if (major, minor) >= (1, OLDEST_MINOR) => Finding::good(what),
        (Some(_), Some(_)) => Finding::missing(what, format!("upgrade the cluster to at least 1.{OLDEST_MINOR}")),
        _ => Finding::warning(what, format!("make sure that it is at least 1.{OLDEST_MINOR}")),
    }
}

/// Whether the definition that the cluster has is the one of this release.
pub(super) fn definition(name: &str, theirs: &Value, ours: &Value) -> Finding {
    let skew = Skew::between(theirs, ours);
    if skew.is_none() {
        return Finding::good(format!("CustomResourceDefinition {name} is of this release"));
    }
    let what = format!("CustomResourceDefinition {name} is of another release: {}", skew.words());
    if skew.is_only_newer() {
        return Finding::warning(what, "use the operator of the release that brought it");
    }
    Finding::missing(what, INSTALL_DEFINITION)
}

/// There is no definition.
pub(super) fn no_definition(name: &str) -> Finding {
    Finding::missing(format!("CustomResourceDefinition {name} does not exist"), INSTALL_DEFINITION)
}

/// There may be a definition.
pub(super) fn hidden_definition(name: &str) -> Finding {
    let what = format!("whether CustomResourceDefinition {name} is of this release cannot be told");
    Finding::warning(what, "run this with an account that may get customresourcedefinitions")
}

const INSTALL_DEFINITION: &str = "upgrade the chart, which brings it (with --take-ownership if it was kept or applied by hand), or: \
     todo-operator crd | kubectl apply --server-side --force-conflicts -f -";

/// What there is of Dapr.
pub(super) fn dapr(cluster: &Cluster, namespace: &str) -> Vec<Finding> {
    let kinds = cluster.missing_dapr_kinds();
    let mut found = vec![if kinds.is_empty() {
        Finding::good("Dapr's CustomResourceDefinitions")
    } else {
        let what = format!("the cluster has no {} of dapr.io/v1alpha1", kinds.join(", "));
        Finding::missing(what, "install Dapr by its chart, see docs/operations.md")
    }];
    match &cluster.injector {
        Injector::Unasked | Injector::Unknown => found.push(Finding::warning(
            format!("whether Dapr is at work in namespace {namespace} cannot be told"),
            "run this with an account that may get its Deployments, or look by hand: kubectl get pods of that namespace",
        )),
        Injector::Missing => found.push(Finding::missing(
            format!("there is no Deployment dapr-sidecar-injector in namespace {namespace}"),
            "install Dapr by its chart, or name its namespace with --dapr-namespace and in the chart's daprNamespace",
        )),
        Injector::NotReady => found.push(Finding::missing(
            format!("no pod of Deployment dapr-sidecar-injector in namespace {namespace} is ready"),
            format!("find out why: kubectl describe pods -n {namespace} -l app=dapr-sidecar-injector"),
        )),
        Injector::Ready { version, drops_capabilities } => {
            let version = version.as_deref();
            found.push(Finding::good(format!("Dapr {} is at work", version.unwrap_or("of an unknown version"))));
            if let Some(warning) = version.and_then(version_warning) {
                found.push(Finding::warning(warning, "upgrade Dapr's chart to 1.16.14 or later"));
            }
            found.push(if *drops_capabilities {
                Finding::good("Dapr's sidecars are admitted under Pod Security restricted")
            } else {
                Finding::warning(
                    "Dapr's sidecars are not admitted under Pod Security restricted",
                    "where a namespace asks for that, upgrade Dapr's chart with --set \
                     dapr_sidecar_injector.sidecarDropALLCapabilities=true",
                )
            });
        }
    }
    found
}

/// Whether the operators that there are leave each other alone.
pub(super) fn operators(releases: &[Release]) -> Vec<Finding> {
    let overlaps = releases::overlaps(releases);
    if overlaps.is_empty() && releases.len() > 1 {
        return vec![Finding::good(format!("{} operators, each with namespaces of its own", releases.len()))];
    }
    overlaps.into_iter().map(|overlap| Finding::missing(overlap.what, overlap.cure)).collect()
}

/// There may be other operators.
pub(super) fn hidden_operators() -> Finding {
    let what = "whether another operator looks after the same namespaces cannot be told";
    Finding::warning(what, "run this with an account that may list Deployments of all namespaces")
}

/// What there is of other operators, which only some platforms need.
pub(super) fn others(cluster: &Cluster) -> Vec<Finding> {
    let one = |name: &str, kinds: &[&'static str], group: &str, install: &str, field: &str| {
        let missing = cluster.missing(kinds);
        if missing.is_empty() {
            return Finding::good(format!("{name}'s CustomResourceDefinitions"));
        }
        let what = format!("the cluster has no {} of {group}", missing.join(", "));
        Finding::warning(what, format!("install {install}, if a platform is to have spec.{field}"))
    };
    let run = |other: &Other, field: &str| {
        let install = format!("{} {} or later", other.name, other.release);
        one(other.name, other.kinds, other.group_version, &install, field)
    };
    vec![
        run(&STRIMZI, "kafka.strimzi"),
        run(&CLOUD_NATIVE_PG, "postgres.cloudNativePg"),
        one("Prometheus", &monitoring::KINDS, monitoring::GROUP_VERSION, "the Prometheus operator", "monitoring"),
    ]
}

/// Where the operator works.
#[derive(Debug)]
pub(super) struct Namespaces<'a> {
    /// Its own.
    pub(super) operator: &'a str,
    /// Name of its Lease there.
    pub(super) lease: &'a str,
    /// Dapr's.
    pub(super) dapr: &'a str,
    /// That of platforms; all if absent.
    pub(super) watched: Option<&'a str>,
}

/// Something that may be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Right {
    /// API group.
    pub(super) group: String,
    /// Plural name of the kind.
    pub(super) resource: String,
    /// A part of the objects, for example `status`.
    pub(super) subresource: Option<String>,
    /// One object; all if absent.
    pub(super) name: Option<String>,
    /// One namespace; all if absent.
    pub(super) namespace: Option<String>,
    /// What is done.
    pub(super) verb: String,
}

/// All that the operator needs to be allowed, one by one.
pub(super) fn needed(namespaces: &Namespaces<'_>) -> Result<Vec<Right>, serde_yaml::Error> {
    let rules: Vec<PolicyRule> = serde_yaml::from_str(RULES)?;
    let watched = namespaces.watched.map(str::to_owned);
    let mut needed = Vec::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let (resource, subresource) = match resource.split_once('/') {
                    Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
                    None => (resource.as_str(), None),
                };
                needed.extend(rule.verbs.iter().map(|verb| Right {
                    group: group.clone(),
                    resource: resource.to_owned(),
                    subresource: subresource.clone(),
                    namespace: watched.clone(),
                    verb: verb.clone(),
                    name: None,
                }));
            }
        }
    }
    let one = |namespace: &str, group: &str, resource: &str, verb: &str, name: Option<&str>| Right {
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace: Some(namespace.to_owned()),
        verb: verb.to_owned(),
        name: name.map(str::to_owned),
        subresource: None,
    };
    let lease = |verb, name| one(namespaces.operator, "coordination.k8s.io", "leases", verb, name);
    needed.push(lease("create", None));
    needed.extend(["get", "update"].map(|verb| lease(verb, Some(namespaces.lease))));
    needed.push(one(namespaces.dapr, "apps", "deployments", "get", Some("dapr-sidecar-injector")));
    Ok(needed)
}

/// What `who` may not do of what is needed.
pub(super) fn rights(who: &str, needed: usize, lacking: &[Right]) -> Vec<Finding> {
    if lacking.is_empty() {
        return vec![Finding::good(format!("{who} may do all {needed} things that the operator does"))];
    }
    let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for right in lacking {
        verbs.entry(object(right)).or_default().push(&right.verb);
    }
    let cure = "upgrade the chart, which grants this to the operator's account, or have whoever installs it grant this; \
                --as system:serviceaccount:NAMESPACE:NAME looks at another account";
    let finding = |(object, verbs): (String, Vec<&str>)| {
        Finding::missing(format!("{who} may not {} {object}", verbs.join(", ")), cure)
    };
    verbs.into_iter().map(finding).collect()
}

fn object(right: &Right) -> String {
    let part = right.subresource.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
    let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
    let name = right.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let place =
        right.namespace.as_ref().map_or_else(|| "in any namespace".to_owned(), |one| format!("in namespace {one}"));
    format!("{}{part}{group}{name} {place}", right.resource)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn marks(found: &[Finding]) -> Vec<Mark> {
        found.iter().map(|finding| finding.mark).collect()
    }

    #[test]
    fn old_kubernetes_is_not_good_enough() {
        for (major, minor, mark) in [
            ("1", "30", Mark::Good),
            ("1", "34+", Mark::Good),
            ("2", "0", Mark::Good),
            ("1", "29", Mark::Bad),
            ("", "", Mark::Unsure),
        ] {
            let version = Info { major: major.to_owned(), minor: minor.to_owned(), ..Info::default() };
            assert_eq!(kubernetes(&version).mark, mark, "{major}.{minor}");
        }
    }

    #[test]
    fn of_dapr_everything_that_is_not_as_it_should_be_is_named() {
        let served = ["Component", "Configuration", "Resiliency"].map(str::to_owned).into();
        let cluster = |injector| Cluster { served: BTreeSet::clone(&served), unanswered: BTreeSet::new(), injector };
        let ready = |version: &str, drops_capabilities| {
            cluster(Injector::Ready { version: Some(version.to_owned()), drops_capabilities })
        };
        let (good, unsure, bad) = (Mark::Good, Mark::Unsure, Mark::Bad);
        for (cluster, expected) in [
            (ready("1.16.14", true), vec![good, good, good]),
            (ready("1.16.0", true), vec![good, good, unsure, good]),
            (ready("1.17.0", false), vec![good, good, unsure]),
            (cluster(Injector::Missing), vec![good, bad]),
            (cluster(Injector::NotReady), vec![good, bad]),
            (cluster(Injector::Unknown), vec![good, unsure]),
            (Cluster { injector: Injector::Missing, ..Cluster::default() }, vec![bad, bad]),
        ] {
            let found = dapr(&cluster, "dapr-system");
            assert_eq!(marks(&found), expected, "{cluster:?}");
            assert!(found.iter().all(|finding| finding.cure.is_some() == (finding.mark != good)));
        }
    }

    #[test]
    fn other_operators_are_looked_for_and_needed_by_nobody_who_does_not_ask() {
        let nothing = others(&Cluster::default());
        assert_eq!(marks(&nothing), [Mark::Unsure; 3]);
        let cure = "install CloudNativePG 1.25 or later, if a platform is to have spec.postgres.cloudNativePg";
        assert_eq!(nothing[1].cure.as_deref(), Some(cure));
        let all = STRIMZI.kinds.iter().chain(CLOUD_NATIVE_PG.kinds).chain(&monitoring::KINDS);
        let served = all.map(|kind| (*kind).to_owned()).collect();
        assert_eq!(marks(&others(&Cluster { served, ..Cluster::default() })), [Mark::Good; 3]);
    }

    #[test]
    fn a_cure_of_several_findings_is_named_once() {
        let found =
            [Finding::good("a"), Finding::missing("b", "x"), Finding::missing("c", "x"), Finding::warning("d", "y")];
        assert_eq!(report(&found, Paint::PLAIN), "✔ a\n✘ b\n✘ c\n  → x\n! d\n  → y\n");
    }

    #[test]
    fn a_definition_of_another_release_is_missing_unless_it_only_knows_more() {
        let definition_with = |spec: &Value| {
            let schema = json!({"properties": {"spec": {"properties": spec}}});
            json!({"spec": {"versions": [{"name": "v1alpha1", "schema": {"openAPIV3Schema": schema}}]}})
        };
        let (more, less) = (definition_with(&json!({"a": {}})), definition_with(&json!({})));
        assert_eq!(definition("x", &more, &more).mark, Mark::Good);
        assert_eq!(definition("x", &more, &less).mark, Mark::Unsure);
        let older = definition("x", &less, &more);
        assert!(older.mark == Mark::Bad && older.what.contains("it lacks v1alpha1.spec.a"), "{older:?}");
    }

    #[test]
    fn what_may_not_be_done_is_named_by_object_and_place() {
        let namespaces = Namespaces { operator: "op", lease: "todo-operator", dapr: "dapr", watched: None };
        let needed = needed(&namespaces).unwrap();
        assert!(rights("you", needed.len(), &[]).iter().all(|finding| finding.mark == Mark::Good));
        let lacking: Vec<_> = needed
            .iter()
            .filter(|right| right.subresource.is_some() || right.resource == "leases" || right.resource == "secrets")
            .cloned()
            .collect();
        let found: Vec<_> = rights("you", needed.len(), &lacking).into_iter().map(|finding| finding.what).collect();
        assert_eq!(
            found,
            [
                "you may not create leases.coordination.k8s.io in namespace op",
                "you may not get, update leases.coordination.k8s.io todo-operator in namespace op",
                "you may not get pods/log in any namespace",
                "you may not get, create, patch secrets in any namespace",
                "you may not update todoplatforms/finalizers.todoplatform.dev in any namespace",
                "you may not patch todoplatforms/status.todoplatform.dev in any namespace",
            ]
        );
    }
}
