//! The tables of this folder: platforms, and whether they are taken. They are read here without an API server, by the tests of
//! `e2e` with one that really runs, and by those of the operator, which looks once more.

mod rows;

use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use rows::Row;

/// The tables, by the name of their file.
const TABLES: [(&str, &str); 4] = [
    ("both", include_str!("both.yaml")),
    ("values", include_str!("values.yaml")),
    ("unions", include_str!("unions.yaml")),
    ("changes", include_str!("changes.yaml")),
];

/// A platform, and whether an API server takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What is tried; the spec says it if this is absent.
    #[serde(rename = "case", default)]
    pub(crate) what: String,
    /// Name of the platform; `todo` if absent.
    name: Option<String>,
    /// The spec before, if this is a change of it.
    old: Option<Value>,
    /// The spec.
    #[allow(dead_code, reason = "not all tests look into it")]
    pub(crate) spec: Value,
    /// A part of what the refusal says; accepted if absent.
    pub(crate) refused: Option<String>,
    /// Refused by the schema alone, which only an API server looks at.
    #[serde(default)]
    #[allow(dead_code, reason = "the API server is asked about all of them")]
    pub(crate) by_schema: bool,
    /// By what the operator refuses it.
    #[allow(dead_code, reason = "the operator's own tests look at it")]
    pub(crate) operator: Option<Violation>,
    /// Why the operator alone refuses it.
    #[allow(dead_code, reason = "the operator's own tests look at it")]
    pub(crate) taken: Option<String>,
    /// The field that a refusal is about, if only that of this field is meant: another may have a rule that says the same.
    #[serde(skip)]
    pub(crate) field: Option<String>,
}

/// What the operator says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the operator's own tests look at it")]
pub(crate) struct Violation {
    /// About which field.
    pub(crate) at: String,
    /// A part of its words.
    pub(crate) says: String,
}

impl Case {
    /// All cases, each with the name of its table.
    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        let read = |text| {
            let mut cases: Vec<Self> = serde_yaml::from_str(text).expect("a table of cases");
            for case in cases.iter_mut().filter(|case| case.what.is_empty()) {
                case.what = case.spec.to_string();
            }
            cases
        };
        let of_tables =
            TABLES.into_iter().flat_map(|(table, text)| read(text).into_iter().map(move |case| (table, case)));
        let of_rows = Row::read().into_iter().flat_map(|row| row.cases()).map(|case| ("rules", case));
        of_tables.chain(of_rows).collect()
    }

    /// Whether what is said of fields, each with its message, is the refusal that is expected.
    pub(crate) fn is_refused_by<'a>(&self, mut said: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        let Some(refused) = &self.refused else { return false };
        said.any(|(field, message)| {
            let is_meant = |meant: &String| *meant == without_index(field);
            message.contains(refused) && self.field.as_ref().is_none_or(is_meant)
        })
    }

    /// Whether it has a field.
    #[allow(dead_code, reason = "the API server is asked about all of them")]
    pub(crate) fn has(&self, field: &str) -> bool {
        let platform = self.platform();
        let mut steps = field.split('.').filter(|step| !step.is_empty());
        let found = steps.try_fold(&platform, |object, step| match step.strip_suffix("[]") {
            Some(list) => object.get(list)?.get(0),
            None => object.get(step),
        });
        found.is_some()
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

/// The name of a field as the schema has it: the cases have one item in each list.
pub(crate) fn without_index(field: &str) -> String {
    field.replace("[0]", "[]")
}
