//! Whether a definition takes and means all that an earlier one did, so that an upgrade loses no platform and breaks no
//! client. It is compared with `crds/released/*.yaml`, one for each version. That of the version that is being made stands for
//! what was pinned before its release: from then on it may only take more. Its release writes it anew, as it is then, and the
//! next version begins with a copy of it.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Map, Value};
use todo_crds::platform::crd;

const RELEASED: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/crds/released");

/// Bounds that may only be raised, and those that may only be lowered.
const MOST: [&str; 4] = ["maxLength", "maxItems", "maxProperties", "maximum"];
const LEAST: [&str; 4] = ["minLength", "minItems", "minProperties", "minimum"];
/// What must stay as it is: whatever is changed here, some value means something else or is refused.
const FIXED: [&str; 9] = [
    "type",
    "format",
    "pattern",
    "default",
    "nullable",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
];

/// Rules that came after a release all the same. Each refuses only what every operator has refused: such a platform was
/// `SpecInvalid` and nothing was made of it, so none is lost, and an API server asks a rule about a field of a stored one only
/// when that field changes. The operator has a test that it takes nothing that they refuse. An address with zeros before its
/// numbers was no host that an Ingress could be made for. And what no sidecar or service has ever started with: a client's
/// certificate for Kafka without the authority's, and names of the page that are none.
///
/// Affinities and amounts of resources came that no API server takes of a pod: every try to write the Deployment was refused.
///
/// And bounds that only zeros before or behind an amount can exceed: what Kubernetes can hold has some twenty digits.
const OF_WHAT_NEVER_RAN: [&str; 29] = [
    "spec.auth.mode: has a new rule, write disabled",
    "spec.ingress.host: has a new rule, write a name, not an address",
    "spec.dapr.tracing.endpoint: has a new rule, write a scheme, a host and a port alone",
    ".tolerations: has a new rule, write Exists or Equal as operator",
    ".tolerations: has a new rule, write the key of a taint",
    ".tolerations: has a new rule, leave out value",
    ".requests{}: maxLength is tightened",
    ".limits{}: maxLength is tightened",
    ".requests: has a new rule, write cpu, memory, ephemeral-storage",
    ".limits: has a new rule, write cpu, memory, ephemeral-storage",
    "spec.kafka.external.brokers: has a new rule, write host:port",
    "spec.kafka.external: has a new rule, a client certificate needs TLS with the brokers' authority",
    "spec.reminders.schedule: has a new rule, write five fields of cron",
    "spec.services.frontend: has a new rule, write names without a scheme",
    ".podAnnotations: has a new rule, write keys of at most 63",
    ".nodeSelector: has a new rule, write keys of at most 63",
    ".labels: has a new rule, write keys of at most 63",
    "spec.ingress.annotations: has a new rule, write keys of at most 63",
    ".operator: enum is tightened",
    ".weight: minimum is tightened",
    ".weight: maximum is tightened",
    ".nodeSelectorTerms: minItems is tightened",
    ".affinity: has a new rule, write values with In",
    ".affinity: has a new rule, write metadata.name",
    "esources: has a new rule, write a limit of ephemeral-storage",
    "esources: has a new rule, write a limit that is the same",
    "esources: has a new rule, write cpu or memory beside",
    "s: has a new rule, write a whole number of a resource",
    "s: has a new rule, write a multiple of the size",
];

/// What `now` breaks of what `released` promised.
fn breaks(released: &Value, now: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    for path in ["/spec/group", "/spec/scope", "/spec/names/kind", "/spec/names/plural", "/spec/names/shortNames"] {
        if released.pointer(path) != now.pointer(path) {
            broken.push(format!("{path} is changed"));
        }
    }
    for version in list(&released["spec"]["versions"]) {
        let name = text(&version["name"]);
        match list(&now["spec"]["versions"]).find(|other| other["name"] == version["name"]) {
            Some(other) => version_breaks(&name, version, other, &mut broken),
            None => broken.push(format!("version {name} is removed")),
        }
    }
    broken
}

fn version_breaks(name: &str, released: &Value, now: &Value, broken: &mut Vec<String>) {
    if released["served"] == true && now["served"] != true {
        broken.push(format!("version {name} is no longer served"));
    }
    if released["subresources"] != now["subresources"] {
        broken.push(format!("the subresources of version {name} are changed"));
    }
    let shown = |column: &Value| (text(&column["name"]), text(&column["jsonPath"]), text(&column["type"]));
    let columns: BTreeSet<_> = list(&now["additionalPrinterColumns"]).map(shown).collect();
    for column in list(&released["additionalPrinterColumns"]).map(shown).filter(|column| !columns.contains(column)) {
        broken.push(format!("column {} of version {name} is removed or changed", column.0));
    }
    let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
    field_breaks(name, &schema(released), &schema(now), broken);
}

fn field_breaks(path: &str, released: &Value, now: &Value, broken: &mut Vec<String>) {
    // What no object could be without is without it in none.
    let new_default =
        |key: &str| key == "default" && path.rsplit('.').next() == Some("spec") && released.get(key).is_none();
    for key in FIXED.into_iter().filter(|key| released.get(key) != now.get(key) && !new_default(key)) {
        broken.push(format!("{path}: {key} is changed"));
    }
    let number = |field: &Value, key: &str| field.get(key).and_then(Value::as_f64);
    for key in MOST {
        let most = |field: &Value| number(field, key).unwrap_or(f64::INFINITY);
        if most(now) < most(released) {
            broken.push(format!("{path}: {key} is tightened"));
        }
    }
    for key in LEAST {
        let least = |field: &Value| number(field, key).unwrap_or(f64::NEG_INFINITY);
        if least(now) > least(released) {
            broken.push(format!("{path}: {key} is tightened"));
        }
    }
    // One that is not there takes every value.
    if now.get("enum").is_some() {
        let choices: Vec<&Value> = list(&now["enum"]).collect();
        let lost = list(&released["enum"]).find(|choice| !choices.contains(choice));
        if released.get("enum").is_none() || lost.is_some() {
            broken.push(format!("{path}: enum is tightened"));
        }
    }
    let required: Vec<&Value> = list(&released["required"]).collect();
    for name in list(&now["required"]).filter(|name| !required.contains(name)) {
        broken.push(format!("{path}: {} is required now", text(name)));
    }
    let rules: Vec<&Value> = list(&released["x-kubernetes-validations"]).map(|rule| &rule["rule"]).collect();
    for rule in list(&now["x-kubernetes-validations"]).filter(|rule| !rules.contains(&&rule["rule"])) {
        broken.push(format!("{path}: has a new rule, {}", text(&rule["message"])));
    }
    for (name, field) in map(&released["properties"]) {
        match now["properties"].get(name) {
            Some(other) => field_breaks(&format!("{path}.{name}"), field, other, broken),
            None => broken.push(format!("{path}.{name} is removed")),
        }
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(below) = released.get(key) {
            field_breaks(&format!("{path}{suffix}"), below, now.get(key).unwrap_or(&Value::Null), broken);
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn map(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_was_released_still_holds() {
    let now = serde_json::to_value(crd()).unwrap();
    let mut compared = 0;
    for entry in fs::read_dir(Path::new(RELEASED)).unwrap() {
        let file = entry.unwrap().path();
        let released: Value = serde_yaml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let mut broken = breaks(&released, &now);
        broken.retain(|what| !OF_WHAT_NEVER_RAN.iter().any(|known| what.contains(known)));
        assert!(broken.is_empty(), "since {}:\n{}", file.display(), broken.join("\n"));
        compared += 1;
    }
    assert!(compared > 0, "no released definition in {RELEASED}");
    let present = Path::new(RELEASED).join(concat!(env!("CARGO_PKG_VERSION"), ".yaml"));
    assert!(present.exists(), "begin this version with a copy of the last one's: {}", present.display());
}

/// A definition whose spec has the fields `a`, `b` and `c`.
fn definition() -> Value {
    serde_yaml::from_str(
        "
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things, shortNames: [th]}
  versions:
    - name: v1
      served: true
      subresources: {status: {}}
      additionalPrinterColumns: [{name: Ready, type: string, jsonPath: .status.ready}]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [a]
              properties:
                a: {type: string, minLength: 1, maxLength: 8, enum: [x, y]}
                b: {type: array, maxItems: 4, x-kubernetes-list-type: set, items: {type: string, maxLength: 8}}
                c: {type: object, maxProperties: 4, additionalProperties: {type: integer, minimum: 1, maximum: 9}}
",
    )
    .unwrap()
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// The definition with the value at `path` set, or taken away if it is to be null.
fn changed(path: &str, value: &Value) -> Value {
    let mut definition = definition();
    let (parent, key) = path.rsplit_once('/').unwrap();
    let parent = definition.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(parent), Value::Null) => _ = parent.remove(key).unwrap(),
        (Value::Array(parent), Value::Null) => _ = parent.remove(key.parse().unwrap()),
        (parent, value) => parent[key] = value.clone(),
    }
    definition
}

#[test]
fn every_way_of_breaking_a_promise_is_seen() {
    let none = Value::Null;
    for (path, value, expected) in [
        ("/spec/scope".to_owned(), "Cluster".into(), "/spec/scope is changed"),
        ("/spec/names/shortNames".to_owned(), none.clone(), "/spec/names/shortNames is changed"),
        ("/spec/versions/0".to_owned(), none.clone(), "version v1 is removed"),
        ("/spec/versions/0/served".to_owned(), false.into(), "version v1 is no longer served"),
        ("/spec/versions/0/subresources".to_owned(), none.clone(), "the subresources of version v1 are changed"),
        (
            "/spec/versions/0/additionalPrinterColumns/0".to_owned(),
            none.clone(),
            "column Ready of version v1 is removed or changed",
        ),
        (format!("{SPEC}/properties/a"), none.clone(), "v1.spec.a is removed"),
        (format!("{SPEC}/properties/a/type"), "integer".into(), "v1.spec.a: type is changed"),
        (format!("{SPEC}/properties/a/default"), "x".into(), "v1.spec.a: default is changed"),
        (format!("{SPEC}/properties/a/pattern"), "^x".into(), "v1.spec.a: pattern is changed"),
        (format!("{SPEC}/properties/a/maxLength"), 7.into(), "v1.spec.a: maxLength is tightened"),
        (format!("{SPEC}/properties/a/minLength"), 2.into(), "v1.spec.a: minLength is tightened"),
        (format!("{SPEC}/properties/a/enum/0"), none.clone(), "v1.spec.a: enum is tightened"),
        (format!("{SPEC}/properties/b/items/enum"), vec!["x"].into(), "v1.spec.b[]: enum is tightened"),
        (format!("{SPEC}/properties/b/maxItems"), 3.into(), "v1.spec.b: maxItems is tightened"),
        (format!("{SPEC}/properties/b/minItems"), 1.into(), "v1.spec.b: minItems is tightened"),
        (
            format!("{SPEC}/properties/b/x-kubernetes-list-type"),
            "atomic".into(),
            "v1.spec.b: x-kubernetes-list-type is changed",
        ),
        (format!("{SPEC}/properties/c/maxProperties"), 3.into(), "v1.spec.c: maxProperties is tightened"),
        (format!("{SPEC}/properties/c/additionalProperties/maximum"), 8.into(), "v1.spec.c{}: maximum is tightened"),
        (format!("{SPEC}/properties/c/additionalProperties/minimum"), 2.into(), "v1.spec.c{}: minimum is tightened"),
        (format!("{SPEC}/required"), vec!["a", "b"].into(), "v1.spec: b is required now"),
        (
            format!("{SPEC}/x-kubernetes-validations"),
            serde_json::json!([{"rule": "self.a == 'x'", "message": "write x"}]),
            "v1.spec: has a new rule, write x",
        ),
    ] {
        assert_eq!(breaks(&definition(), &changed(&path, &value)), [expected], "{path}");
    }
}

#[test]
fn what_only_adds_breaks_nothing() {
    let none = Value::Null;
    for (path, value) in [
        ("/spec/versions/1".to_owned(), none.clone()),
        (format!("{SPEC}/properties/d"), serde_json::json!({"type": "boolean"})),
        (format!("{SPEC}/properties/a/description"), "What it is.".into()),
        (format!("{SPEC}/properties/a/maxLength"), 9.into()),
        (format!("{SPEC}/properties/a/minLength"), none.clone()),
        (format!("{SPEC}/properties/a/enum"), vec!["x", "y", "z"].into()),
        (format!("{SPEC}/properties/a/enum"), none.clone()),
        (format!("{SPEC}/properties/b/maxItems"), none.clone()),
        (format!("{SPEC}/required"), none.clone()),
    ] {
        let now = if path == "/spec/versions/1" { with_another_version() } else { changed(&path, &value) };
        assert_eq!(breaks(&definition(), &now), [""; 0], "{path}");
    }
}

fn with_another_version() -> Value {
    let mut definition = definition();
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    versions.push(serde_json::json!({"name": "v2", "served": true}));
    definition
}
