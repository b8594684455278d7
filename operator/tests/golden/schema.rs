//! That the schema refuses what the operator does, so that `kubectl apply` says what is wrong and not a condition afterwards.

use std::collections::BTreeMap;

use kube::core::cel::{Validator, compile_schema};
use serde_json::{Value, json};
use todo_operator::{names::App, resolve::defaults};

use crate::{cel::Violation, validation::refusals};

fn schema() -> Value {
    let crd = serde_json::to_value(todo_crds::platform::crd()).unwrap();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
}

/// What a schema without its rules refuses of a value, with the path of it.
fn refused(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    let limit = |key: &str| schema[key].as_f64();
    let within = |amount: f64, least: &str, most: &str| {
        limit(least).is_none_or(|least| amount >= least) && limit(most).is_none_or(|most| amount <= most)
    };
    let count = |count: usize| f64::from(u32::try_from(count).unwrap());
    let is_right = match (schema["type"].as_str(), value) {
        (Some("string"), Value::String(text)) => within(count(text.chars().count()), "minLength", "maxLength"),
        (None, Value::String(text)) if schema["x-kubernetes-int-or-string"] == true => {
            within(count(text.chars().count()), "minLength", "maxLength")
        }
        (Some("integer"), Value::Number(number)) => {
            number.is_i64() && within(number.as_f64().unwrap(), "minimum", "maximum")
        }
        (Some("array"), Value::Array(items)) => {
            within(count(items.len()), "minItems", "maxItems") && are_told_apart(schema, items)
        }
        (Some("object"), Value::Object(fields)) => within(count(fields.len()), "minProperties", "maxProperties"),
        (Some("boolean"), Value::Bool(_)) => true,
        (None, Value::Number(_)) => schema["x-kubernetes-int-or-string"] == true,
        _ => false,
    };
    let is_a_choice = schema["enum"].as_array().is_none_or(|choices| choices.contains(value));
    if !is_right || !is_a_choice || !matches(schema, value) {
        found.push(path.to_owned());
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        refused(&format!("{path}[{index}]"), &schema["items"], item, found);
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            found.push(format!("{path}.{name}"));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let of_field = schema["properties"].get(name).unwrap_or_else(|| &schema["additionalProperties"]);
        refused(&format!("{path}.{name}"), of_field, field, found);
    }
}

/// Whether no two items of a list have the same keys, where there are some.
fn are_told_apart(schema: &Value, items: &[Value]) -> bool {
    let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() else { return true };
    let key = |item: &Value| keys.iter().map(|key| item[key.as_str().unwrap()].clone()).collect::<Vec<_>>();
    items.iter().enumerate().all(|(index, item)| items[..index].iter().all(|other| key(other) != key(item)))
}

/// Whether a text matches the pattern of its schema.
fn matches(schema: &Value, value: &Value) -> bool {
    let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) else { return true };
    let rule = format!("self.matches('{}')", pattern.replace('\\', "\\\\"));
    let of_text =
        json!({"type": "string", "x-kubernetes-validations": [{"rule": rule, "message": "it does not match"}]});
    Validator::new().validate_compiled(&compile_schema(&of_text), &json!(text), None).is_ok()
}

#[test]
fn what_the_operator_refuses_the_schema_refuses_before() {
    let (schema, validator) = (schema(), Validator::new());
    let compiled = compile_schema(&schema);
    for (case, Violation { at, .. }) in refusals() {
        let mut found = Vec::new();
        refused("spec", &schema["properties"]["spec"], &case.spec, &mut found);
        let is_taken = found.is_empty() && validator.validate_compiled(&compiled, &case.platform(), None).is_ok();
        assert_eq!((is_taken, is_taken), (case.taken.is_some(), case.refused.is_none()), "{}", case.what);
        assert!(found.iter().all(|found| at.starts_with(found.as_str())), "{}: {found:?}", case.what);
    }
}

#[test]
fn a_schema_without_rules_is_asked_for_all_that_it_has() {
    let schema = serde_yaml::from_str::<Value>(
        "
type: object
required: [a]
properties:
  a: {type: string, minLength: 1, maxLength: 2, enum: [x, y, '']}
  b: {type: integer, minimum: 1, maximum: 2}
  c: {type: array, maxItems: 2, x-kubernetes-list-map-keys: [n], items: {type: object, properties: {n: {type: string}}}}
  d: {x-kubernetes-int-or-string: true, pattern: '^[0-9.]+$'}
  e: {type: object, maxProperties: 1, additionalProperties: {type: boolean}}
",
    )
    .unwrap();
    for (value, expected) in [
        ("{a: x, b: 2, c: [{n: p}, {n: q}], d: 1, e: {k: true}}", [""; 0].as_slice()),
        ("{a: x, d: '1.5'}", &[]),
        ("{}", &["s.a"]),
        ("{a: z}", &["s.a"]),
        ("{a: ''}", &["s.a"]),
        ("{a: x, b: 3}", &["s.b"]),
        ("{a: x, b: 1.5}", &["s.b"]),
        ("{a: x, c: [{n: p}, {n: p}]}", &["s.c"]),
        ("{a: x, c: [{n: 1}]}", &["s.c[0].n"]),
        ("{a: x, d: 1s}", &["s.d"]),
        ("{a: x, e: {k: 1}}", &["s.e.k"]),
        ("{a: x, e: {k: true, l: true}}", &["s.e"]),
        ("{a: x, f: 1}", &["s.f"]),
    ] {
        let mut found = Vec::new();
        refused("s", &schema, &serde_yaml::from_str(value).unwrap(), &mut found);
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn the_definition_names_the_resources_of_what_has_none() {
    let sidecar = ("dapr/properties/sidecarResources", defaults::sidecar_resources());
    let kafka = ("kafka/properties/embedded/properties/resources", defaults::kafka_resources());
    let postgres = ("postgres/properties/embedded/properties/resources", defaults::postgres_resources());
    let services = App::ALL.map(|app| (app.field(), defaults::service_resources(app)));
    let services =
        services.map(|(field, resources)| (format!("services/properties/{field}/properties/resources"), resources));
    let others = [sidecar, kafka, postgres].map(|(path, resources)| (path.to_owned(), resources));
    let schema = schema();
    for (path, resources) in others.into_iter().chain(services) {
        let field = schema.pointer(&format!("/properties/spec/properties/{path}")).unwrap();
        let words = field["description"].as_str().unwrap();
        for amount in [resources.requests, resources.limits].into_iter().flatten().flat_map(BTreeMap::into_values) {
            assert!(words.contains(&amount.0), "{path} does not name {}: {words}", amount.0);
        }
    }
}
