//! Whether an object is as it was applied.

use kube::core::DynamicObject;
use serde_json::Value;

use super::desired_hash_annotation;
use crate::resolve::{quantity, short_hash};

/// Hash of an object that is to be applied.
pub fn hash(body: &DynamicObject) -> String {
    // Serialising texts, numbers and maps with text keys cannot fail.
    short_hash(&serde_json::to_vec(body).unwrap_or_default())
}

/// Whether `live` is what `body`, its hash included, asks for.
pub fn in_order(body: &DynamicObject, live: &DynamicObject) -> bool {
    let hash = |object: &DynamicObject| {
        object.metadata.annotations.as_ref().and_then(|all| all.get(&desired_hash_annotation()).cloned())
    };
    hash(body) == hash(live) && covers(live, body)
}

fn covers(live: &DynamicObject, body: &DynamicObject) -> bool {
    let metadata = |object: &DynamicObject| {
        (object.metadata.labels.clone(), object.metadata.annotations.clone(), object.metadata.owner_references.clone())
    };
    let (wanted, present) = (metadata(body), metadata(live));
    let to_value = |value| serde_json::to_value(value).unwrap_or_default();
    covered(&to_value(&wanted), &to_value(&present), Place::Other) && covered(&body.data, &live.data, Place::Other)
}

/// Where a text is. The API server writes quantities in its own way, and nothing else.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Quantity,
    Other,
}

/// Whether all of `wanted` is in `present`, which may have more.
fn covered(wanted: &Value, present: &Value, place: Place) -> bool {
    match (wanted, present) {
        (Value::Null, _) => true,
        (Value::Object(wanted), Value::Object(present)) => wanted.iter().all(|(key, value)| {
            let place = match key.as_str() {
                "requests" | "limits" | "sizeLimit" => Place::Quantity,
                _ => place,
            };
            present.get(key).is_some_and(|present| covered(value, present, place))
        }),
        (Value::Array(wanted), Value::Array(present)) => covered_list(wanted, present, place),
        (Value::String(wanted), Value::String(present)) => {
            wanted == present || (place == Place::Quantity && same_quantity(wanted, present))
        }
        (wanted, present) => wanted == present,
    }
}

/// Lists whose items have names are maps to the API server, and others may add to them; all other lists are one value.
fn covered_list(wanted: &[Value], present: &[Value], place: Place) -> bool {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut names: Vec<_> = wanted.iter().map(name).collect();
    names.sort();
    let distinct =
        !names.is_empty() && names.iter().all(Option::is_some) && names.windows(2).all(|two| two[0] != two[1]);
    if distinct {
        return wanted.iter().all(|wanted| {
            present.iter().any(|present| name(present) == name(wanted) && covered(wanted, present, place))
        });
    }
    wanted.len() == present.len() && wanted.iter().zip(present).all(|(wanted, present)| covered(wanted, present, place))
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
        ] {
            assert!(covered(&wanted, &present, Place::Other), "{wanted} {present}");
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
        ] {
            assert!(!covered(&wanted, &present, Place::Other), "{wanted} {present}");
        }
    }
}
