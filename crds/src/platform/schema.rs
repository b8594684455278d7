//! Schemas of what has none that is fit: Kubernetes' own types have no bounds, and durations and quantities no form.

use k8s_openapi::{
    api::core::v1::Toleration,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::CustomResourceExt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::TodoPlatform;

/// Longest text, longest list and largest map in a type of Kubernetes' own.
pub(super) struct Bounds {
    pub(super) text: u32,
    pub(super) items: u32,
}

/// The `CustomResourceDefinition`, as it is installed.
///
/// Unlike [`CustomResourceExt::crd`], no field is nullable: the API server then drops a `null` before it looks at the
/// rules, and a rule need not tell `null` from absent. And an absent spec is an empty one: a server-side apply of `spec: {}`
/// over a spec with fields of the same field manager leaves `null` of it.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = TodoPlatform::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            forbid_null(schema);
            if let Some(spec) = schema.properties.as_mut().and_then(|properties| properties.get_mut("spec")) {
                spec.default = Some(JSON(json!({})));
            }
        }
    }
    crd
}

fn forbid_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(forbid_null);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        forbid_null(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forbid_null(values);
    }
}

/// A duration, as Kubernetes writes it.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 32})
}

/// The size of a volume. A text only: a rule looks at it, and there is no telling what a number would cost.
pub(super) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 32})
}

/// Quantities by the name of a resource.
pub(super) fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 64,
            "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
        },
    })
}

/// A choice of texts, without a description of its own, which would take the place of the field's.
pub(super) fn choice<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    schema.remove("description");
    schema
}

/// Annotations.
pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    text_map(&json!({"type": "string", "maxLength": 1024}))
}

/// Labels.
pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    text_map(&json!({
        "type": "string",
        "maxLength": 63,
        "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
    }))
}

/// Of the keys a schema can say nothing; there is a rule for them.
fn text_map(values: &Value) -> Schema {
    json_schema!({"type": "object", "maxProperties": 32, "additionalProperties": values})
}

/// Tolerations, as in a pod.
pub(super) fn tolerations(generator: &mut SchemaGenerator) -> Schema {
    bounded::<Vec<Toleration>>(generator, &Bounds { text: 317, items: 16 })
}

/// Conditions, as in every status.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    bounded::<Vec<Condition>>(generator, &Bounds { text: 32_768, items: 16 })
}

/// The schema of a type of Kubernetes' own, with bounds, and with the first sentence of each description.
pub(super) fn bounded<T: JsonSchema>(generator: &mut SchemaGenerator, bounds: &Bounds) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    if let Some(schema) = schema.as_object_mut() {
        bound(schema, bounds);
    }
    schema
}

fn bound(schema: &mut Map<String, Value>, bounds: &Bounds) {
    if let Some(Value::String(description)) = schema.get_mut("description")
        && let Some(end) = end_of_sentence(description)
    {
        description.truncate(end);
        description.push('.');
    }
    match schema.get("type").and_then(primary_type).unwrap_or_default().as_str() {
        "string" if !schema.contains_key("format") => {
            schema.entry("maxLength").or_insert_with(|| json!(bounds.text));
        }
        "array" => {
            schema.entry("maxItems").or_insert_with(|| json!(bounds.items));
            schema.entry("x-kubernetes-list-type").or_insert_with(|| json!("atomic"));
        }
        "object" if schema.contains_key("additionalProperties") => {
            schema.entry("maxProperties").or_insert_with(|| json!(bounds.items));
        }
        _ => {}
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            bound(inner, bounds);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(|property| bound(property, bounds));
    }
}

/// Where the first sentence ends, if another one comes after it. A full stop is also in names and abbreviations.
fn end_of_sentence(text: &str) -> Option<usize> {
    let begins = |after: &str| after.strip_prefix(' ').is_some_and(|next| next.starts_with(char::is_uppercase));
    let stops = text.match_indices('.').map(|(at, _)| at);
    let stop = stops.into_iter().find(|at| begins(&text[at + 1..]) || text[at + 1..].starts_with('\n'));
    stop.into_iter().chain(text.find('\n')).min()
}

/// The type of an optional field is written `[type, null]`.
fn primary_type(types: &Value) -> Option<String> {
    match types {
        Value::String(name) => Some(name.clone()),
        Value::Array(names) => names.first().and_then(Value::as_str).map(ToOwned::to_owned),
        _ => None,
    }
}
