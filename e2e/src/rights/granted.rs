//! What a release's manifest grants to its account.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Release, Right};

/// A right, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The right.
    pub right: Right,
    /// The namespace; all if none.
    pub namespace: Option<String>,
    /// The object; all if none.
    pub name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    kind: String,
    metadata: Metadata,
    rules: Vec<Rule>,
    role_ref: Reference,
    subjects: Vec<Reference>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    kind: String,
    name: String,
    namespace: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

/// The rights that roles in a manifest give to the account of the release.
pub(super) fn of_manifest(manifest: &str, account: Release<'_>) -> anyhow::Result<BTreeSet<Grant>> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifest) {
        let object: Option<Object> = Option::deserialize(document)?;
        objects.extend(object);
    }
    let is_account = |subject: &Reference| {
        subject.kind == "ServiceAccount"
            && subject.name == account.name
            && subject.namespace.as_deref() == Some(account.namespace)
    };
    let mut granted = BTreeSet::new();
    for binding in objects.iter().filter(|object| object.subjects.iter().any(is_account)) {
        // A binding in a namespace gives its rights there, whichever kind of role it names.
        let place = binding.metadata.namespace.clone().filter(|_| binding.kind == "RoleBinding");
        let role = |object: &&Object| {
            object.kind == binding.role_ref.kind
                && object.metadata.name == binding.role_ref.name
                && (object.kind == "ClusterRole" || object.metadata.namespace == place)
        };
        let rules = objects.iter().filter(role).flat_map(|role| &role.rules);
        granted.extend(rules.flat_map(|rule| of_rule(rule, place.as_deref())));
    }
    anyhow::ensure!(!granted.is_empty(), "the release grants nothing to {}/{}", account.namespace, account.name);
    Ok(granted)
}

fn of_rule(rule: &Rule, place: Option<&str>) -> Vec<Grant> {
    let mut granted = Vec::new();
    for (group, resource) in rule.api_groups.iter().flat_map(|group| rule.resources.iter().map(move |one| (group, one)))
    {
        let (plural, subresource) = match resource.split_once('/') {
            Some((plural, subresource)) => (plural, Some(subresource)),
            None => (resource.as_str(), None),
        };
        for verb in &rule.verbs {
            let grant = |name: Option<String>| Grant {
                right: Right::new(group, plural, subresource, verb),
                namespace: place.map(str::to_owned),
                name,
            };
            if rule.resource_names.is_empty() {
                granted.push(grant(None));
            }
            granted.extend(rule.resource_names.iter().cloned().map(Some).map(grant));
        }
    }
    granted
}
