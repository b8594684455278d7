//! What a change of each field moves: exactly the objects that it should. Whatever else moved would be written, and a
//! Deployment that did would restart its pods.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use todo_operator::{
    names::App,
    resolve::{Resolved, validate},
};

use crate::support::{DEFAULT, found, objects, platform, settings};

const TABLE: &str = include_str!("fields.yaml");

/// Types of Kubernetes' own are one field each.
const WHOLE: [&str; 1] = ["affinity"];

/// One field; see the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    field: String,
    #[serde(default)]
    beside: Value,
    from: Value,
    to: Value,
    moves: Vec<String>,
}

impl Case {
    /// The table, with each service in the place of all.
    fn table() -> Vec<Self> {
        let cases: Vec<Self> = serde_yaml::from_str(TABLE).unwrap();
        cases
            .into_iter()
            .flat_map(|case| if case.field.contains(".*.") { case.of_each() } else { vec![case] })
            .collect()
    }

    fn of_each(&self) -> Vec<Self> {
        let of = |app: App| Self {
            field: self.field.replace(".*.", &format!(".{}.", app.field())),
            beside: serde_json::from_str(&self.beside.to_string().replace("\"*\"", &format!("\"{}\"", app.field())))
                .unwrap(),
            moves: self.moves.iter().map(|object| object.replace("{app}", app.id())).collect(),
            ..self.clone()
        };
        App::ALL.map(of).to_vec()
    }

    fn expected(&self) -> BTreeSet<String> {
        let deployments = |backed: bool| {
            let apps = App::ALL.into_iter().filter(move |app| !backed || app.has_backing_services());
            apps.map(|app| format!("Deployment/{app}")).collect::<Vec<_>>()
        };
        let objects = |object: &String| match object.as_str() {
            "all" => deployments(false),
            "backed" => deployments(true),
            _ => vec![object.clone()],
        };
        self.moves.iter().flat_map(objects).collect()
    }

    fn with(&self, value: &Value) -> Resolved {
        let mut spec = if self.beside.is_null() { json!({}) } else { self.beside.clone() };
        let mut place = &mut spec;
        for name in self.field.split('.') {
            place = &mut place[name];
        }
        *place = value.clone();
        let platform = platform(DEFAULT, &spec.to_string());
        validate(&platform, &settings(), &found()).unwrap_or_else(|refused| panic!("{}: {refused:?}", self.field))
    }
}

fn moved(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

/// Paths of all fields below `schema` that have none below themselves.
fn fields(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    let below = schema["properties"].as_object().filter(|below| !below.is_empty());
    match below.filter(|_| !WHOLE.iter().any(|whole| path.ends_with(whole))) {
        None => _ = found.insert(path.to_owned()),
        Some(below) => below.iter().for_each(|(name, schema)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            fields(&path, schema, found);
        }),
    }
}

#[test]
fn a_change_of_a_field_moves_exactly_the_objects_that_it_should() {
    let mut wrong = Vec::new();
    for case in Case::table() {
        let moved = moved(&objects(&case.with(&case.from)), &objects(&case.with(&case.to)));
        if moved != case.expected() {
            wrong.push(format!("{} moves {moved:?}", case.field));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_field_of_the_schema_is_in_the_table() {
    let crd = serde_json::to_value(todo_crds::platform::crd()).unwrap();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let mut all = BTreeSet::new();
    fields("", crd.pointer(spec).unwrap(), &mut all);
    let listed: BTreeSet<String> = Case::table().into_iter().map(|case| case.field).collect();
    let missing: Vec<_> = all.difference(&listed).collect();
    assert!(missing.is_empty(), "say in fields.yaml what a change of these moves: {missing:?}");
    let unknown: Vec<_> = listed.difference(&all).collect();
    assert!(unknown.is_empty(), "no fields of the schema: {unknown:?}");
}
