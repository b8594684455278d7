//! `todo-operator render`: the objects of a platform as YAML, without a cluster.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kube::Resource;
use serde::Deserialize;
use serde_json::Value;
use todo_crds::platform::TodoPlatform;

use crate::{
    build::{self, Object},
    resolve::{self, Found, Resolved, Settings, Violation},
};

/// The namespace of a resource that names none and was given none.
const DEFAULT_NAMESPACE: &str = "default";

/// Why nothing could be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no YAML, or its `TodoPlatform` has fields of a wrong type.
    #[error("{path} is not valid: {source}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: serde_yaml::Error,
    },
    /// The file has no `TodoPlatform`, or several.
    #[error("{path} has {count} documents of kind TodoPlatform; give a file with exactly one", path = path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// An API server would not take it, whatever its spec.
    #[error("{path} has a TodoPlatform of which it is not known what it is: write {what}", path = path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is to be written.
        what: String,
    },
    /// The platform asks for something that cannot be.
    #[error("the platform is not valid:{}", list(.0))]
    Invalid(Vec<Violation>),
    /// An object cannot be written as YAML.
    #[error("cannot write {object} as YAML: {source}")]
    Serialise {
        /// Kind and name.
        object: String,
        /// Why.
        source: serde_yaml::Error,
    },
    /// The output cannot be written.
    #[error("cannot write {target}: {source}")]
    Write {
        /// Where to.
        target: String,
        /// What the system says.
        source: io::Error,
    },
}

fn list(violations: &[Violation]) -> String {
    violations.iter().fold(String::new(), |list, violation| list + "\n  " + &violation.to_string())
}

/// Prints the objects of the platform in `file`, in apply order. Values of Secrets are never printed, the generated
/// ones included: only their keys are.
pub fn render(
    file: &Path,
    namespace: Option<&str>,
    settings: &Settings,
    out: &mut impl io::Write,
) -> Result<(), RenderError> {
    let platform = resolve_file(file, namespace, settings)?;
    for object in build::desired(&platform).objects {
        let yaml = document(&object)?;
        out.write_all(yaml.as_bytes())
            .map_err(|source| RenderError::Write { target: "the output".to_owned(), source })?;
    }
    Ok(())
}

/// The platform in a file, without anything that only a cluster could tell.
pub(super) fn resolve_file(file: &Path, namespace: Option<&str>, settings: &Settings) -> Result<Resolved, RenderError> {
    let mut platform = read(file)?;
    if let Some(namespace) = namespace {
        platform.metadata.namespace = Some(namespace.to_owned());
    }
    platform.metadata.namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
    resolve::validate(&platform, settings, &Found::default()).map_err(RenderError::Invalid)
}

/// The one platform in a file.
pub(super) fn read(path: &Path) -> Result<TodoPlatform, RenderError> {
    let text = fs::read_to_string(path).map_err(|source| RenderError::Read { path: path.to_owned(), source })?;
    let parse_error = |source| RenderError::Parse { path: path.to_owned(), source };
    let mut platforms = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let document = serde_yaml::Value::deserialize(document).map_err(parse_error)?;
        if document.get("kind").and_then(serde_yaml::Value::as_str) == Some("TodoPlatform") {
            platforms.push(document);
        }
    }
    let count = platforms.len();
    match (platforms.pop(), count) {
        (Some(document), 1) => {
            let unknown = |what: String| RenderError::Unknown { path: path.to_owned(), what };
            let version = TodoPlatform::api_version(&());
            if document.get("apiVersion").and_then(serde_yaml::Value::as_str) != Some(&*version) {
                return Err(unknown(format!("apiVersion: {version}")));
            }
            let platform: TodoPlatform = serde_yaml::from_value(document.clone()).map_err(parse_error)?;
            if platform.metadata.name.is_none() {
                return Err(unknown("a metadata.name".to_owned()));
            }
            refuse_unknown_fields(&document, &platform)?;
            Ok(platform)
        }
        _ => Err(RenderError::Count { path: path.to_owned(), count }),
    }
}

/// An API server says of a field that it does not know; here nobody else would.
fn refuse_unknown_fields(document: &serde_yaml::Value, platform: &TodoPlatform) -> Result<(), RenderError> {
    let mut unknown = Vec::new();
    if let Some(Ok(given)) = document.get("spec").map(serde_json::to_value) {
        // What was read is written again, and has all fields that are known. Our own structs are always JSON.
        let known = serde_json::to_value(&platform.spec).unwrap_or_default();
        find_unknown("spec", &given, &known, &mut unknown);
    }
    if unknown.is_empty() { Ok(()) } else { Err(RenderError::Invalid(unknown)) }
}

fn find_unknown(path: &str, given: &Value, known: &Value, unknown: &mut Vec<Violation>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (name, value) in given {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(known) => find_unknown(&path, value, known, unknown),
                    None if says_nothing(value) => {}
                    None => unknown.push(Violation { path, message: "is no field that is known here".to_owned() }),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                find_unknown(&format!("{path}[{index}]"), given, known, unknown);
            }
        }
        _ => {}
    }
}

/// What is left out when it is written again.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// One object as a YAML document, its separator first.
pub fn document(object: &Object) -> Result<String, RenderError> {
    let mut body = object.body.clone();
    let mut comment = String::new();
    if object.resource.kind == "Secret"
        && let Value::Object(fields) = &mut body.data
        && let Some(Value::Object(data)) = fields.remove("data")
    {
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        comment = format!("# Made by the operator unless it exists, with keys: {}\n", keys.join(", "));
    }
    let yaml = serde_yaml::to_string(&body).map_err(|source| RenderError::Serialise {
        object: format!("{} {}", object.resource.kind, object.name()),
        source,
    })?;
    Ok(format!("---\n{comment}{yaml}"))
}
