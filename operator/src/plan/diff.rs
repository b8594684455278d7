//! Whether an object is as it was applied.

use kube::core::DynamicObject;
use serde_json::Value;

use super::desired_hash_annotation;
use crate::resolve::{quantity, short_hash};

/// Fields of Kubernetes' own kinds that the API server takes for one value (`+structType=atomic`, `+mapType=atomic` and
/// `+listType=atomic` in its types) and in which something more means something else: a selector with another label
/// selects nothing, and another subject has the rights, too. Others cannot own a part of them.
const ATOMIC: [&str; 13] = [
    "egress",
    "ingress",
    "labelSelector",
    "namespaceSelector",
    "nodeSelector",
    "podSelector",
    "policyTypes",
    "roleRef",
    "rules",
    "selector",
    "subjects",
    "tls",
    "tolerations",
];

/// Hash of an object that is to be applied.
pub fn hash(body: &DynamicObject) -> String {
    // Serialising texts, numbers and maps with text keys cannot fail.
    short_hash(&serde_json::to_vec(body).unwrap_or_default())
}

/// The hash that an object carries of what was last applied.
pub fn desired_hash(object: &DynamicObject) -> Option<&str> {
    object.metadata.annotations.as_ref()?.get(&desired_hash_annotation()).map(String::as_str)
}

/// Whether `live` is what `body`, its hash included, asks for.
pub fn in_order(body: &DynamicObject, live: &DynamicObject) -> bool {
    desired_hash(body) == desired_hash(live) && covers(live, body)
}

fn covers(live: &DynamicObject, body: &DynamicObject) -> bool {
    let metadata = |object: &DynamicObject| {
        let metadata = &object.metadata;
        serde_json::to_value((&metadata.labels, &metadata.annotations, &metadata.owner_references)).unwrap_or_default()
    };
    covered(&metadata(body), &metadata(live), Rules::default())
        && covered(&body.data, &live.data, Rules { merged: merged(body), ..Rules::default() })
}

/// Whether the API server merges the parts of objects of this kind as its types say. It cannot of kinds whose
/// definitions say nothing of it: there it takes every list for one value, and every map for one with many owners.
fn merged(body: &DynamicObject) -> bool {
    let group = body.types.as_ref().and_then(|types| types.api_version.split('/').next());
    let unmerged =
        ["dapr.io", "gateway.networking.k8s.io", "kafka.strimzi.io", "monitoring.coreos.com", "postgresql.cnpg.io"];
    group.is_none_or(|group| !unmerged.contains(&group))
}

/// How values are compared.
#[derive(Clone, Copy)]
struct Rules {
    /// Texts are quantities, which the API server writes in its own way.
    quantities: bool,
    /// Lists whose items have names are maps to the API server, and others may add to them; and [`ATOMIC`] holds.
    merged: bool,
    /// Nobody may add anything.
    exact: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { quantities: false, merged: true, exact: false }
    }
}

impl Rules {
    /// The rules for a field.
    fn of(self, field: &str) -> Self {
        Self {
            quantities: self.quantities || matches!(field, "requests" | "limits" | "sizeLimit"),
            exact: self.exact || (self.merged && ATOMIC.contains(&field)),
            ..self
        }
    }
}

/// Whether all of `wanted` is in `present`, which may have more where others may add to it.
fn covered(wanted: &Value, present: &Value, rules: Rules) -> bool {
    match (wanted, present) {
        (Value::Null, _) => true,
        (Value::Object(wanted), Value::Object(present)) => {
            let has_all = wanted.iter().all(|(key, value)| {
                // The API server drops some of what is empty.
                present.get(key).map_or_else(|| is_empty(value), |present| covered(value, present, rules.of(key)))
            });
            has_all && (!rules.exact || present.iter().all(|(key, value)| is_empty(value) || wanted.contains_key(key)))
        }
        (Value::Array(wanted), Value::Array(present)) => covered_list(wanted, present, rules),
        (Value::String(wanted), Value::String(present)) => {
            wanted == present || (rules.quantities && same_quantity(wanted, present))
        }
        (wanted, present) => wanted == present,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Of lists that are not merged by name, the whole is one value.
fn covered_list(wanted: &[Value], present: &[Value], rules: Rules) -> bool {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut names: Vec<_> = wanted.iter().map(name).collect();
    names.sort();
    let distinct =
        !names.is_empty() && names.iter().all(Option::is_some) && names.windows(2).all(|two| two[0] != two[1]);
    if rules.merged && !rules.exact && distinct {
        return wanted.iter().all(|wanted| {
            present.iter().any(|present| name(present) == name(wanted) && covered(wanted, present, rules))
        });
    }
    wanted.len() == present.len() && wanted.iter().zip(present).all(|(wanted, present)| covered(wanted, present, rules))
}

fn same_quantity(one: &str, other: &str) -> bool {
    matches!((quantity::value(one), quantity::value(other)), (Some(one), Some(other)) if (one - other).abs() <= 1e-9 * one.abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_api_server_or_others_add_is_no_difference() {
        for (wanted, present) in [
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (
                json!([{"name": "app", "image": "x"}]),
                json!([{"name": "app", "image": "x", "tty": false}, {"name": "y"}]),
            ),
            (json!({"resources": {"limits": {"cpu": "0.5"}}}), json!({"resources": {"limits": {"cpu": "500m"}}})),
            (json!({"requests": {"storage": "1024Mi"}}), json!({"requests": {"storage": "1Gi"}})),
            (json!({"emptyDir": {"sizeLimit": "1000k"}}), json!({"emptyDir": {"sizeLimit": "1M"}})),
            // What is empty is dropped.
            (json!([{"key": "", "operator": "Exists"}]), json!([{"operator": "Exists"}])),
            (json!({"nodeAffinity": {"preferred": [], "required": {}}}), json!({"nodeAffinity": {}})),
        ] {
            assert!(covered(&wanted, &present, Rules::default()), "{wanted} {present}");
        }
    }

    #[test]
    fn whatever_of_ours_is_changed_or_gone_is_seen() {
        for (wanted, present) in [
            (json!({"a": 1}), json!({"a": 2})),
            (json!({"a": 1}), json!({})),
            (json!(["x", "y"]), json!(["x", "y", "z"])),
            (json!(["x", "y"]), json!(["y", "x"])),
            (json!([{"name": "app", "image": "x"}]), json!([{"name": "app", "image": "y"}])),
            (json!([{"name": "app"}]), json!([])),
            (json!([{"port": 1}]), json!([{"port": 1}, {"port": 2}])),
            (json!({"env": "1000m"}), json!({"env": "1"})),
            (json!({"limits": {"cpu": "1"}}), json!({"limits": {"cpu": "2"}})),
            // What nobody may add to.
            (json!({"selector": {"a": "1"}}), json!({"selector": {"a": "1", "b": "2"}})),
            (
                json!({"podSelector": {"matchLabels": {"a": "1"}}}),
                json!({"podSelector": {"matchLabels": {"a": "1", "b": "2"}}}),
            ),
            (
                json!({"podSelector": {"matchLabels": {"a": "1"}}}),
                json!({"podSelector": {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b"}]}}),
            ),
            (json!({"nodeSelector": {"disk": "fast"}}), json!({"nodeSelector": {"disk": "fast", "zone": "a"}})),
            (json!({"subjects": [{"name": "a"}]}), json!({"subjects": [{"name": "a"}, {"name": "b"}]})),
            (json!({"ingress": [{"from": [{"podSelector": {}}]}]}), json!({"ingress": [{}]})),
            (
                json!({"ingress": [{"from": [{"podSelector": {}}]}]}),
                json!({"ingress": [{"from": [{"podSelector": {}, "namespaceSelector": {"matchLabels": {"a": "1"}}}]}]}),
            ),
            (json!({"egress": []}), json!({"egress": [{}]})),
        ] {
            assert!(!covered(&wanted, &present, Rules::default()), "{wanted} {present}");
        }
    }

    #[test]
    fn what_is_empty_in_a_value_that_nobody_may_add_to_is_no_difference() {
        for (wanted, present) in [
            (json!({"egress": []}), json!({})),
            (
                json!({"selector": {"matchLabels": {"a": "1"}}}),
                json!({"selector": {"matchLabels": {"a": "1"}, "matchExpressions": []}}),
            ),
            (
                json!({"tolerations": [{"key": "", "operator": "Exists"}]}),
                json!({"tolerations": [{"operator": "Exists"}]}),
            ),
        ] {
            assert!(covered(&wanted, &present, Rules::default()), "{wanted} {present}");
        }
    }

    #[test]
    fn an_item_added_to_a_list_is_seen_where_the_api_server_does_not_merge_lists() {
        let object = |api_version: &str, list: Value| -> DynamicObject {
            let object = json!({"apiVersion": api_version, "kind": "K", "metadata": {"name": "n"}, "spec": list});
            serde_json::from_value(object).unwrap()
        };
        for (api_version, seen) in
            [("dapr.io/v1alpha1", true), ("gateway.networking.k8s.io/v1", true), ("apps/v1", false)]
        {
            let body = object(api_version, json!([{"name": "a", "value": "1"}]));
            let live = object(api_version, json!([{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]));
            assert_eq!(!in_order(&body, &live), seen, "{api_version}");
        }
    }
}
