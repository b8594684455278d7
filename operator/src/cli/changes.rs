//! What is different between two versions of an object, as a tree of fields. Pure.

use std::collections::BTreeSet;

use clap::builder::styling::AnsiColor;
use kube::core::DynamicObject;
use serde_json::{Map, Value};

use super::tree::{Paint, Tree};
use crate::{plan::desired_hash_annotation, text::bounded};

/// Characters of a value that are shown.
const SHOWN: usize = 160;
/// What the API server keeps for itself.
const OF_THE_SERVER: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// How a field differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// It is new.
    Added(Value),
    /// It goes.
    Removed(Value),
    /// It has another value: from, to.
    Changed(Value, Value),
    /// Fields below it differ.
    Inside(Vec<(String, Self)>),
}

/// What differs between two objects, but for what the API server and the operator keep for themselves.
pub(super) fn between(before: &DynamicObject, after: &DynamicObject) -> Option<Change> {
    compare(&what_is_asked(before), &what_is_asked(after))
}

/// An object without its status and bookkeeping.
fn what_is_asked(object: &DynamicObject) -> Value {
    // Serialising texts, numbers and maps with text keys cannot fail.
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !OF_THE_SERVER.contains(&key.as_str()));
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.remove(&desired_hash_annotation());
        }
    }
    value
}

fn compare(before: &Value, after: &Value) -> Option<Change> {
    match (before, after) {
        _ if before == after => None,
        (Value::Object(before), Value::Object(after)) => inside(compare_maps(before, after, str::to_owned)),
        (Value::Array(before), Value::Array(after)) => match (by_name(before), by_name(after)) {
            (Some(before), Some(after)) => inside(compare_maps(&before, &after, |name| format!("[{name}]"))),
            _ if before.iter().chain(after).all(Value::is_object) => inside(compare_lists(before, after)),
            // Of texts or numbers, a list is read as a whole.
            _ => Some(Change::Changed(Value::Array(before.clone()), Value::Array(after.clone()))),
        },
        _ => Some(Change::Changed(before.clone(), after.clone())),
    }
}

fn inside(changes: Vec<(String, Change)>) -> Option<Change> {
    (!changes.is_empty()).then_some(Change::Inside(changes))
}

fn compare_maps(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    shown: impl Fn(&str) -> String,
) -> Vec<(String, Change)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| match (before.get(name), after.get(name)) {
        (Some(before), Some(after)) => compare(before, after),
        (Some(before), None) => gone(before),
        (None, Some(after)) => new(after),
        (None, None) => None,
    };
    names.into_iter().filter_map(|name| Some((shown(name), change(name)?))).collect()
}

fn compare_lists(before: &[Value], after: &[Value]) -> Vec<(String, Change)> {
    let change = |index| match (before.get(index), after.get(index)) {
        (Some(before), Some(after)) => compare(before, after),
        (Some(before), None) => Some(Change::Removed(before.clone())),
        (None, after) => after.map(|after| Change::Added(after.clone())),
    };
    let indices = 0..before.len().max(after.len());
    indices.filter_map(|index| Some((format!("[{index}]"), change(index)?))).collect()
}

/// Nothing and an empty map are the same to the API server.
fn new(value: &Value) -> Option<Change> {
    (!is_empty(value)).then(|| Change::Added(value.clone()))
}

fn gone(value: &Value) -> Option<Change> {
    (!is_empty(value)).then(|| Change::Removed(value.clone()))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A list whose items have names, each of them another one, as a map.
fn by_name(list: &[Value]) -> Option<Map<String, Value>> {
    let name = |item: &Value| Some((item.get("name")?.as_str()?.to_owned(), item.clone()));
    let map: Map<String, Value> = list.iter().map(name).collect::<Option<_>>()?;
    (map.len() == list.len()).then_some(map)
}

impl Change {
    /// Whether something at or below this path differs.
    pub(super) fn touches(&self, path: &[&str]) -> bool {
        match (self, path.split_first()) {
            (Self::Inside(fields), Some((first, rest))) => {
                fields.iter().any(|(name, change)| name == first && change.touches(rest))
            }
            _ => true,
        }
    }

    /// The fields below an object, as they are printed.
    pub(super) fn trees(&self, paint: Paint) -> Vec<Tree> {
        match self {
            Self::Inside(fields) => fields.iter().map(|(name, change)| change.tree(name.clone(), paint)).collect(),
            other => vec![other.tree(String::new(), paint)],
        }
    }

    /// A field, with the one below it on the same line if there is only one.
    fn tree(&self, path: String, paint: Paint) -> Tree {
        let green = |value| paint.paint(AnsiColor::Green, &shown(value));
        let red = |value| paint.paint(AnsiColor::Red, &shown(value));
        match self {
            Self::Added(value) => Tree::leaf(format!("+ {path}: {}", green(value))),
            Self::Removed(value) => Tree::leaf(format!("- {path}: {}", red(value))),
            Self::Changed(before, after) => Tree::leaf(format!("~ {path}: {} → {}", red(before), green(after))),
            Self::Inside(fields) => match fields.as_slice() {
                [(name, change)] => change.tree(join(&path, name), paint),
                _ => Tree::new(path, self.trees(paint)),
            },
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if name.starts_with('[') { format!("{path}{name}") } else { format!("{path}.{name}") }
}

fn shown(value: &Value) -> String {
    bounded(&value.to_string(), SHOWN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(before: &Value, after: &Value) -> String {
        compare(before, after).map_or_else(String::new, |change| Tree::new("", change.trees(Paint::PLAIN)).to_string())
    }

    #[test]
    fn differences_are_shown_by_field() {
        for (before, after, expected) in [
            (json!({"a": 1, "b": {}}), json!({"a": 1}), ""),
            (json!({"a": 1}), json!({"a": 2}), "\n└─ ~ a: 1 → 2\n"),
            (json!({"a": {"b": {"c": 1}}}), json!({"a": {"b": {}}}), "\n└─ - a.b.c: 1\n"),
            (json!({}), json!({"a": {"b": 1}}), "\n└─ + a: {\"b\":1}\n"),
            (
                json!({"a": {"b": 1, "c": 1}}),
                json!({"a": {"b": 2, "c": 2}}),
                "\n└─ a\n   ├─ ~ b: 1 → 2\n   └─ ~ c: 1 → 2\n",
            ),
            (
                json!({"env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "1"}]}),
                json!({"env": [{"name": "Y", "value": "1"}, {"name": "X", "value": "2"}]}),
                "\n└─ ~ env[X].value: \"1\" → \"2\"\n",
            ),
            (
                json!({"args": ["a", "b"], "ports": [{"port": 1}]}),
                json!({"args": ["a", "c"], "ports": [{"port": 1}, {"port": 2}]}),
                "\n├─ ~ args: [\"a\",\"b\"] → [\"a\",\"c\"]\n└─ + ports[1]: {\"port\":2}\n",
            ),
        ] {
            assert_eq!(lines(&before, &after), expected, "{before} {after}");
        }
    }

    #[test]
    fn what_the_server_and_the_operator_keep_for_themselves_is_no_difference() {
        let object = |version: &str, replicas: i64| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {
                    "name": "a", "resourceVersion": version, "generation": 3,
                    "annotations": {desired_hash_annotation(): version},
                },
                "spec": {"replicas": replicas}, "status": {"replicas": replicas},
            }))
            .unwrap()
        };
        assert_eq!(between(&object("1", 1), &object("2", 1)), None);
        let change = between(&object("1", 1), &object("2", 2)).unwrap();
        assert!(change.touches(&["spec"]) && change.touches(&["spec", "replicas"]));
        assert!(!change.touches(&["spec", "template"]) && !change.touches(&["metadata"]));
    }

    #[test]
    fn long_values_are_cut() {
        let line = lines(&json!({}), &json!({"a": "x".repeat(1000)}));
        assert!(line.chars().count() < 200 && line.contains('…'), "{line}");
    }
}
