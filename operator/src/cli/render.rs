//! `todo-operator render`: the objects of a platform as YAML, without a cluster.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

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
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
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

fn read(path: &Path) -> Result<TodoPlatform, RenderError> {
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
        (Some(platform), 1) => serde_yaml::from_value(platform).map_err(parse_error),
        _ => Err(RenderError::Count { path: path.to_owned(), count }),
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
