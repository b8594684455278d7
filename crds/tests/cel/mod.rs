//! The tables of this folder: platforms, and whether they are taken. They are read here without an API server, and by the
//! tests of `e2e` with one that really runs.

use serde::Deserialize;
use serde_json::{Value, json};

/// The tables, by the name of their file.
pub(crate) const TABLES: [(&str, &str); 3] = [
    ("values", include_str!("values.yaml")),
    ("unions", include_str!("unions.yaml")),
    ("changes", include_str!("changes.yaml")),
];

/// A platform, and whether an API server takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What is tried.
    #[serde(rename = "case")]
    pub(crate) what: String,
    /// Name of the platform; `todo` if absent.
    name: Option<String>,
    /// The spec before, if this is a change of it.
    old: Option<Value>,
    /// The spec.
    spec: Value,
    /// A part of what the refusal says; accepted if absent.
    pub(crate) refused: Option<String>,
    /// Refused by the schema alone, which only an API server looks at.
    #[serde(default)]
    #[allow(dead_code, reason = "the API server is asked about all of them")]
    pub(crate) by_schema: bool,
}

impl Case {
    /// The cases of a table.
    pub(crate) fn read(table: &str) -> Vec<Self> {
        serde_yaml::from_str(table).expect("a table of cases")
    }

    /// The platform before, if this is a change of it.
    pub(crate) fn old(&self) -> Option<Value> {
        self.old.as_ref().map(|spec| self.with(spec))
    }

    /// The platform that is tried.
    pub(crate) fn platform(&self) -> Value {
        self.with(&self.spec)
    }

    fn with(&self, spec: &Value) -> Value {
        json!({
            "apiVersion": "todoplatform.dev/v1alpha1",
            "kind": "TodoPlatform",
            "metadata": {"name": self.name.as_deref().unwrap_or("todo")},
            "spec": spec,
        })
    }
}
