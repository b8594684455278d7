//! Python programs with packages at fixed versions, for peers that others wrote.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{cluster::Settings, command::Command};

/// What `channel_sink.py` judges channels with.
pub const CHANNEL_SINK: &str = "http-ece==1.2.1 PyJWT==2.15.1 standardwebhooks==1.0.0 aiosmtpd==1.4.6";

/// An environment with some packages and what they need, made once.
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// The environment with these packages, given as pip takes them (`name==version`) with a blank between.
    pub async fn with(settings: &Settings, packages: &str) -> anyhow::Result<Self> {
        let name = packages.replace("==", "-").replace(' ', "-");
        Self::make(settings, &name, &packages.split(' ').map(OsStr::new).collect::<Vec<_>>()).await
    }

    /// The environment with all programs by which ours are judged: `assets/python/requirements.txt`.
    pub async fn judges(settings: &Settings) -> anyhow::Result<Self> {
        Self::with_requirements(settings, "judges", &Settings::assets().join("python/requirements.txt")).await
    }

    /// The environment with the packages of a requirements file. It is made anew when the file changes.
    pub async fn with_requirements(settings: &Settings, name: &str, file: &Path) -> anyhow::Result<Self> {
        let digest = hex::encode(Sha256::digest(tokio::fs::read(file).await?));
        Self::make(settings, &format!("{name}-{}", &digest[..8]), &[OsStr::new("-r"), file.as_os_str()]).await
    }

    async fn make(settings: &Settings, name: &str, packages: &[&OsStr]) -> anyhow::Result<Self> {
        let folder = settings.tools().join(format!("python-{name}"));
        let program = folder.join("bin/python");
        let whole = folder.join(".whole");
        if !whole.exists() {
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).run().await?;
            let install = Command::new(&program).args(["-m", "pip", "install", "--quiet"]).args(packages);
            install.limit(Duration::from_mins(5)).run().await?;
            // Only a whole environment is used again.
            tokio::fs::write(&whole, "").await?;
        }
        Ok(Self { program })
    }

    /// Its interpreter.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A script of `assets/python`.
    pub fn script(&self, name: &str) -> Command {
        Command::new(&self.program).arg(Settings::assets().join("python").join(name))
    }
}
