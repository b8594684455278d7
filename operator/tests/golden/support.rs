//! Platforms from YAML, through the real validation.

use std::collections::BTreeMap;

use serde_json::Value;
use todo_crds::platform::TodoPlatform;
use todo_operator::{
    build::{self, Object},
    resolve::{Found, GeneratedSecrets, Resolved, Sensitive, Settings, Violation, validate},
};

pub(crate) const DEFAULT: &str = include_str!("platforms/default.yaml");
pub(crate) const EXTERNAL: &str = include_str!("platforms/external.yaml");

/// Settings that no release changes, so that snapshots show changes of the objects alone.
pub(crate) fn settings() -> Settings {
    Settings { operator_version: "0.1.0".to_owned(), ..Settings::default() }
}

pub(crate) fn found() -> Found {
    Found {
        generated: GeneratedSecrets {
            kafka_password: Sensitive::new("kafka-pw"),
            postgres_password: Sensitive::new("postgres-pw"),
            app_token: Sensitive::new("token-pw"),
            // The pair in appendix A of RFC 8291.
            web_push_key: Sensitive::new("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        },
        ..Found::default()
    }
}

/// The platform in `yaml`, with `spec` laid over its spec.
pub(crate) fn platform(yaml: &str, spec: &str) -> TodoPlatform {
    let mut document: Value = serde_yaml::from_str(yaml).unwrap();
    let patch: Value = serde_yaml::from_str(spec).unwrap();
    merge(&mut document["spec"], &patch);
    serde_json::from_value(document).unwrap()
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

pub(crate) fn resolve(yaml: &str, spec: &str) -> Resolved {
    resolve_by(&settings(), yaml, spec)
}

/// The same by an operator that was started with these.
pub(crate) fn resolve_by(settings: &Settings, yaml: &str, spec: &str) -> Resolved {
    validate(&platform(yaml, spec), settings, &found()).unwrap()
}

pub(crate) fn violations(spec: &str) -> Vec<Violation> {
    validate(&platform(DEFAULT, spec), &settings(), &found()).unwrap_err()
}

/// Every object by `Kind/name`.
pub(crate) fn objects(platform: &Resolved) -> BTreeMap<String, Value> {
    build::desired(platform).objects.iter().map(|object| (key(object), json(object))).collect()
}

pub(crate) fn key(object: &Object) -> String {
    format!("{}/{}", object.resource.kind, object.name())
}

pub(crate) fn json(object: &Object) -> Value {
    serde_json::to_value(&object.body).unwrap()
}

/// The pod templates by `Kind/name`.
pub(crate) fn pod_templates(platform: &Resolved) -> BTreeMap<String, Value> {
    objects(platform)
        .into_iter()
        .filter(|(_, object)| object["spec"]["template"].is_object())
        .map(|(key, object)| (key, object["spec"]["template"].clone()))
        .collect()
}
