//! Pod templates of every sample and of every spec in the documents. As with those of an empty spec, **a new snapshot is
//! not to be accepted lightly**: it restarts the pods of everybody who uses such a spec.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;
use todo_operator::resolve::short_hash;

use crate::support::{DEFAULT, pod_templates, resolve};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where samples and documents are.
const FOLDERS: [&str; 3] = ["", "config/samples", "docs"];

/// Each template by its hash, which the order of a list changes, too, and by what is different from that of an empty spec.
#[test]
fn pod_templates_of_samples_and_documents_never_change() {
    let usual = pod_templates(&resolve(DEFAULT, "{}"));
    let specs = specs();
    for sample in ["config/samples/production.yaml", "docs/notifications.md notifications", "README.md"] {
        assert!(specs.keys().any(|name| name.starts_with(sample)), "{sample} is not among {:?}", specs.keys());
    }
    let frozen: BTreeMap<String, BTreeMap<String, Vec<String>>> = specs
        .iter()
        .map(|(name, spec)| {
            let templates = pod_templates(&resolve(DEFAULT, &spec.to_string()));
            (name.clone(), templates.iter().map(|(key, template)| frozen(key, template, usual.get(key))).collect())
        })
        .collect();
    insta::assert_snapshot!(serde_yaml::to_string(&frozen).unwrap());
}

fn frozen(key: &str, template: &Value, usual: Option<&Value>) -> (String, Vec<String>) {
    let mut lines = vec![format!("hash {}", short_hash(serde_yaml::to_string(template).unwrap().as_bytes()))];
    differences("", template, usual.unwrap_or(&Value::Null), &mut lines);
    (key.to_owned(), lines)
}

/// A line for each leaf that is different from what is usual.
fn differences(path: &str, is: &Value, usual: &Value, lines: &mut Vec<String>) {
    if is == usual {
        return;
    }
    match (children(is), children(usual)) {
        (Some(is), Some(usual)) => {
            let names = is.keys().chain(usual.keys().filter(|name| !is.contains_key(*name)));
            for name in names {
                let of = |all: &BTreeMap<String, Value>| all.get(name).cloned().unwrap_or_default();
                differences(&format!("{path}/{name}"), &of(&is), &of(&usual), lines);
            }
        }
        _ => lines.push(format!("{path} = {is}")),
    }
}

/// Fields of an object, and items of a list by their names if all have one.
fn children(value: &Value) -> Option<BTreeMap<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields.clone().into_iter().collect()),
        Value::Array(items) => {
            items.iter().map(|item| Some((item["name"].as_str()?.to_owned(), item.clone()))).collect()
        }
        _ => None,
    }
}

/// Specs of platforms by where they are written, and by what they are about if it is a document.
fn specs() -> BTreeMap<String, Value> {
    let mut specs = BTreeMap::new();
    for folder in FOLDERS {
        for file in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let file = file.unwrap().path();
            let name = Path::new(folder).join(file.file_name().unwrap()).display().to_string();
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("yaml") if !folder.is_empty() => {
                    let text = fs::read_to_string(&file).unwrap();
                    specs.insert(name, documents(&text).pop().unwrap()["spec"].take());
                }
                Some("md") => {
                    let text = fs::read_to_string(&file).unwrap();
                    let of_platforms = fenced(&text).into_iter().flat_map(|text| documents(&text)).filter(is_platform);
                    let of_platforms = of_platforms.map(|mut document| document["spec"].take());
                    specs.extend(of_platforms.map(|spec| (format!("{name} {}", about(&spec)), spec)));
                }
                _ => {}
            }
        }
    }
    specs
}

/// What is between the fences of a document's YAML.
fn fenced(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("\n```yaml\n") {
        let (inside, after) = after.split_once("\n```").unwrap();
        found.push(inside.to_owned());
        rest = after;
    }
    found
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn is_platform(document: &Value) -> bool {
    document["spec"].is_object() && document.get("kind").is_none_or(|kind| kind == "TodoPlatform")
}

/// The fields that a spec has, two levels deep.
fn about(spec: &Value) -> String {
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let fields = names(spec).into_iter().map(|name| {
        let parts = Vec::from_iter(names(&spec[&name]));
        if parts.is_empty() { name } else { format!("{name}.{}", parts.join("+")) }
    });
    fields.collect::<Vec<_>>().join(" ")
}
