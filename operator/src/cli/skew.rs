//! How the definition that a cluster has differs from the one of this release. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// Differences that are named; the others are counted.
const NAMED: usize = 4;

/// Paths of fields in which two definitions differ. Descriptions do not count.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Skew {
    /// Fields of this release that the cluster does not know.
    pub(super) lacking: Vec<String>,
    /// Fields that only the cluster knows.
    pub(super) foreign: Vec<String>,
    /// Fields that both know, with other rules.
    pub(super) differing: Vec<String>,
}

impl Skew {
    /// Compares two definitions, version by version.
    pub(super) fn between(cluster: &Value, ours: &Value) -> Self {
        let (cluster, ours) = (fields(cluster), fields(ours));
        let only = |one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>| {
            one.keys().filter(|path| !other.contains_key(*path)).cloned().collect()
        };
        let differs = |(path, field): (&String, &Value)| (cluster.get(path)? != field).then(|| path.clone());
        Self {
            lacking: only(&ours, &cluster),
            foreign: only(&cluster, &ours),
            differing: ours.iter().filter_map(differs).collect(),
        }
    }

    /// Whether there is no difference.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all that this release writes is known there, by the same rules.
    pub(super) fn is_only_newer(&self) -> bool {
        self.lacking.is_empty() && self.differing.is_empty() && !self.foreign.is_empty()
    }

    /// The differences, in words.
    pub(super) fn words(&self) -> String {
        let parts =
            [("it lacks", &self.lacking), ("it has other rules for", &self.differing), ("only it has", &self.foreign)];
        let parts = parts.into_iter().filter(|(_, paths)| !paths.is_empty());
        parts.map(|(words, paths)| format!("{words} {}", some_of(paths))).collect::<Vec<_>>().join("; ")
    }
}

fn some_of(paths: &[String]) -> String {
    let named = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Every field of every version of a definition by its path, each without what is below it and in the way in which it is
/// described.
fn fields(definition: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for version in definition["spec"]["versions"].as_array().into_iter().flatten() {
        let name = version["name"].as_str().unwrap_or_default();
        collect(name, &version["schema"]["openAPIV3Schema"], &mut found);
    }
    found
}

fn collect(path: &str, schema: &Value, found: &mut BTreeMap<String, Value>) {
    let Some(schema) = schema.as_object() else { return };
    let below = ["properties", "items", "additionalProperties", "description"];
    let own = schema.iter().filter(|(key, _)| !below.contains(&key.as_str()));
    found.insert(path.to_owned(), Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect()));
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        collect(&format!("{path}.{name}"), property, found);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(items) = schema.get(key) {
            collect(&format!("{path}{suffix}"), items, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use todo_crds::platform;

    use super::*;

    fn definition(spec: &Value) -> Value {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}});
        json!({"spec": {"versions": [{"name": "v1alpha1", "schema": {"openAPIV3Schema": schema}}]}})
    }

    #[test]
    fn fields_that_one_of_them_lacks_and_other_rules_are_named() {
        let ours = json!({"a": {"type": "string", "description": "x"}, "b": {"type": "string", "maxLength": 3}});
        for (cluster, words) in [
            (json!({"a": {"type": "string"}, "b": {"maxLength": 3, "type": "string"}}), ""),
            (json!({"a": {"type": "string"}}), "it lacks v1alpha1.spec.b"),
            (
                json!({"a": {"type": "string"}, "b": {"type": "string", "maxLength": 2}, "c": {"type": "string"}}),
                "it has other rules for v1alpha1.spec.b; only it has v1alpha1.spec.c",
            ),
        ] {
            assert_eq!(Skew::between(&definition(&cluster), &definition(&ours)).words(), words, "{cluster}");
        }
    }

    #[test]
    fn the_definition_of_this_release_is_itself() {
        let ours = serde_json::to_value(platform::crd()).unwrap();
        assert!(Skew::between(&ours, &ours).is_none() && fields(&ours).len() > 100);
    }

    #[test]
    fn a_definition_that_only_knows_more_is_newer() {
        let (more, less) = (json!({"a": {"type": "string"}}), json!({}));
        assert!(Skew::between(&definition(&more), &definition(&less)).is_only_newer());
        assert!(!Skew::between(&definition(&less), &definition(&more)).is_only_newer());
        assert!(!Skew::between(&definition(&less), &definition(&less)).is_only_newer());
    }
}
