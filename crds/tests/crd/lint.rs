//! Rules that every field of a schema of ours keeps.

use serde_json::Value;

use crate::schema::{properties, schema};

/// What a field breaks of one rule, if it breaks it.
type Rule = fn(&str, &Value) -> Option<String>;

const RULES: [Rule; 6] =
    [is_described, ends_as_a_sentence, is_bounded, is_merged_by_key, is_absent_or_given, says_what_to_write];

/// Every field that breaks a rule, with the rule.
fn lint(schema: &Value) -> Vec<String> {
    let of_field =
        |(path, field): &(String, Value)| RULES.iter().filter_map(|rule| rule(path, field)).collect::<Vec<_>>();
    properties(schema).iter().flat_map(of_field).collect()
}

fn is_described(path: &str, field: &Value) -> Option<String> {
    let is_item = path.ends_with(']') || path.ends_with('}');
    let described = field["description"].as_str().is_some_and(|description| description.len() > 4);
    (!is_item && !described).then(|| format!("{path} has no description"))
}

/// Of descriptions of Kubernetes' own only the first sentence is there, and not all that has a full stop behind it is one.
fn ends_as_a_sentence(path: &str, field: &Value) -> Option<String> {
    const GO_ON: [&str; 9] = ["", "a", "an", "e", "e.g", "etc", "i", "i.e", "the"];
    let description = field["description"].as_str()?.trim_end_matches('.');
    let last = description.rsplit(' ').next().unwrap_or_default();
    GO_ON
        .contains(&last.trim_start_matches('('))
        .then(|| format!("{path} has a description that is cut short: {description}"))
}

fn is_bounded(path: &str, field: &Value) -> Option<String> {
    let has = |key: &str| field.get(key).is_some();
    let (bounded, what) = match field["type"].as_str() {
        Some("string") => (["maxLength", "enum", "format"].into_iter().any(has), "is an unbounded text"),
        Some("array") => (has("maxItems"), "is an unbounded list"),
        Some("object") if has("additionalProperties") => (has("maxProperties"), "is an unbounded map"),
        Some("object") => (has("properties"), "takes anything"),
        Some("integer") => {
            // What the operator counts, and what Kubernetes itself looks at.
            let theirs = path.starts_with("status") || path.contains(".affinity.") || path.contains(".tolerations[]");
            (theirs || (has("minimum") && has("maximum")), "is an unbounded number")
        }
        Some("boolean") => (true, ""),
        _ => (has("x-kubernetes-int-or-string") && has("pattern") && has("maxLength"), "has no type and no bounds"),
    };
    (!bounded).then(|| format!("{path} {what}"))
}

fn is_merged_by_key(path: &str, field: &Value) -> Option<String> {
    if field["items"]["type"] != "object" {
        return None;
    }
    // Kubernetes' own, which have no key.
    let keyless = path.contains(".affinity.") || path.ends_with(".tolerations");
    let expected = if keyless { "atomic" } else { "map" };
    if field["x-kubernetes-list-type"] != expected {
        return Some(format!("{path} is no list of type {expected}"));
    }
    let required = field["items"]["required"].as_array();
    let is_required = |key: &Value| required.is_some_and(|required| required.contains(key));
    let keys = field["x-kubernetes-list-map-keys"].as_array();
    let optional = keys.into_iter().flatten().find(|key| !is_required(key))?;
    Some(format!("{path} is merged by {optional}, which may be absent"))
}

fn is_absent_or_given(path: &str, field: &Value) -> Option<String> {
    let has = |key: &str| field.get(key).is_some();
    // What it stands for can never be anything else.
    let empty_spec = path == "spec" && field["default"] == serde_json::json!({});
    let what = match (has("default") && !empty_spec, has("nullable")) {
        (true, _) => "has a default, which could never change",
        (_, true) => "may be null",
        _ => return None,
    };
    Some(format!("{path} {what}"))
}

fn says_what_to_write(path: &str, field: &Value) -> Option<String> {
    let rules = field["x-kubernetes-validations"].as_array();
    let silent = |rule: &&Value| rule["message"].as_str().is_none_or(|message| message.len() <= 10);
    rules.into_iter().flatten().find(silent).map(|rule| format!("{path} has a rule without a message: {rule}"))
}

#[test]
fn our_schema_breaks_no_rule() {
    let broken = lint(&schema());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_rule_is_there_for_something() {
    for (field, expected) in [
        ("{type: boolean}", "spec.a has no description"),
        ("{type: boolean, description: It is the .}", "spec.a has a description that is cut short: It is the "),
        ("{type: boolean, description: Or e.g.}", "spec.a has a description that is cut short: Or e.g"),
        ("{type: string, description: A text.}", "spec.a is an unbounded text"),
        ("{type: array, description: A list., items: {type: boolean}}", "spec.a is an unbounded list"),
        ("{type: array, description: A list., maxItems: 2, items: {type: string}}", "spec.a[] is an unbounded text"),
        ("{type: object, description: A map., additionalProperties: {type: boolean}}", "spec.a is an unbounded map"),
        (
            "{type: object, description: A map., maxProperties: 2, additionalProperties: {type: string}}",
            "spec.a{} is an unbounded text",
        ),
        ("{type: object, description: Anything., x-kubernetes-preserve-unknown-fields: true}", "spec.a takes anything"),
        ("{type: integer, description: A number., minimum: 1}", "spec.a is an unbounded number"),
        ("{description: A number or a text., x-kubernetes-int-or-string: true}", "spec.a has no type and no bounds"),
        (
            "{description: A number or a text., x-kubernetes-int-or-string: true, pattern: ^1$}",
            "spec.a has no type and no bounds",
        ),
        ("{type: string, description: A text., pattern: ^1+$}", "spec.a is an unbounded text"),
        (
            "{type: array, description: A list., maxItems: 2, items: {type: object, properties: {b: {type: boolean, description: Or not.}}}}",
            "spec.a is no list of type map",
        ),
        (
            "{type: array, description: A list., maxItems: 2, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [b], \
             items: {type: object, properties: {b: {type: boolean, description: Or not.}}}}",
            "spec.a is merged by \"b\", which may be absent",
        ),
        ("{type: boolean, description: Or not., default: true}", "spec.a has a default, which could never change"),
        ("{type: boolean, description: Or not., nullable: true}", "spec.a may be null"),
        (
            "{type: boolean, description: Or not., x-kubernetes-validations: [{rule: self}]}",
            "spec.a has a rule without a message: {\"rule\":\"self\"}",
        ),
    ] {
        let field: Value = serde_yaml::from_str(field).unwrap();
        let spec = serde_json::json!({"type": "object", "description": "What is wanted.", "properties": {"a": field}});
        let status = serde_json::json!({"type": "object", "description": "What there is.", "properties": {}});
        let broken = lint(&serde_json::json!({"properties": {"spec": spec, "status": status}}));
        assert_eq!(broken, [expected], "{field}");
    }
}
