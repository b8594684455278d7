//! Python programs with packages at fixed versions, for peers that others wrote.

use std::{path::PathBuf, time::Duration};

use crate::{cluster::Settings, command::Command};

/// An environment with one package and what it needs, made once.
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// The environment with this package, given as pip takes it (`name==version`).
    pub async fn with(settings: &Settings, package: &str) -> anyhow::Result<Self> {
        let folder = settings.tools().join(format!("python-{}", package.replace("==", "-")));
        let program = folder.join("bin/python");
        let whole = folder.join(".whole");
        if !whole.exists() {
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).run().await?;
            let install = Command::new(&program).args(["-m", "pip", "install", "--quiet", package]);
            install.limit(Duration::from_mins(5)).run().await?;
            // Only a whole environment is used again.
            tokio::fs::write(&whole, "").await?;
        }
        Ok(Self { program })
    }

    /// A script of `assets/python`.
    pub fn script(&self, name: &str) -> Command {
        Command::new(&self.program).arg(Settings::assets().join("python").join(name))
    }
}
