//! `todo-operator crd`: the resource's definition as YAML.

use std::io;

use anyhow::Context;
use todo_crds::platform;

/// Prints the `CustomResourceDefinition`, as it is kept below `crds/yaml/`.
pub(super) fn print(out: &mut impl io::Write) -> anyhow::Result<()> {
    let yaml = serde_yaml::to_string(&platform::crd()).context("cannot write the definition as YAML")?;
    out.write_all(yaml.as_bytes()).context("cannot write to the output")
}
