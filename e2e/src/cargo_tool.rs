//! Programs from the crates' registry, at fixed versions, built once.

use std::{path::PathBuf, time::Duration};

use crate::{
    cluster::Settings,
    command::{Command, Error},
};

/// Where this program is; it is built if it is not there yet.
pub async fn installed(settings: &Settings, name: &str, version: &str) -> Result<PathBuf, Error> {
    let root = settings.tools().join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if !program.exists() {
        let install = Command::new("cargo").args(["install", name, "--locked", "--quiet", "--version", version]);
        install.arg("--root").arg(root).limit(Duration::from_mins(20)).run().await?;
    }
    Ok(program)
}
