use kube::core::cel::{Validator, compile_schema};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::schema::schema;

/// A platform, and whether an API server takes it. The files are for one that really runs, too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is tried.
    #[serde(rename = "case")]
    what: String,
    /// Name of the platform; `todo` if absent.
    name: Option<String>,
    /// The spec before, if this is a change of it.
    old: Option<Value>,
    /// The spec.
    spec: Value,
    /// A part of what the refusal says; accepted if absent.
    refused: Option<String>,
    /// Refused by the schema alone, which only an API server looks at.
    #[serde(default)]
    by_schema: bool,
}

fn check(file: &str) {
    let cases: Vec<Case> = serde_yaml::from_str(file).unwrap();
    // Once: that takes longer than all else.
    let schema = compile_schema(&schema());
    for case in cases.into_iter().filter(|case| !case.by_schema) {
        let platform = |spec: &Value| {
            json!({
                "apiVersion": "todoplatform.dev/v1alpha1",
                "kind": "TodoPlatform",
                "metadata": {"name": case.name.as_deref().unwrap_or("todo")},
                "spec": spec,
            })
        };
        let old = case.old.as_ref().map(platform);
        let said = match Validator::new().validate_compiled(&schema, &platform(&case.spec), old.as_ref()) {
            Ok(()) => String::new(),
            Err(errors) => errors.to_string(),
        };
        match &case.refused {
            Some(message) => assert!(said.contains(message), "{}: {said:?}", case.what),
            None => assert_eq!(said, "", "{}", case.what),
        }
    }
}

#[test]
fn wrong_values_are_refused_with_words() {
    check(include_str!("../cel/values.yaml"));
}

#[test]
fn unions_take_at_most_one() {
    check(include_str!("../cel/unions.yaml"));
}

#[test]
fn what_holds_data_only_grows() {
    check(include_str!("../cel/changes.yaml"));
}
