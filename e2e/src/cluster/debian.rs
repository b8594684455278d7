//! Root file systems of Debian packages, each made once and kept while its list of packages is the same.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Error, Settings, settings};
use crate::{command::Command, progress::Tail};

/// A root file system to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Debian {
    /// What it is for; part of its file's name.
    pub(crate) name: &'static str,
    /// Which packages it has besides: `minbase`, or `essential`, which lacks apt.
    pub(crate) variant: &'static str,
    /// Packages, with commas.
    pub(crate) packages: &'static str,
}

impl Debian {
    /// Changes whenever what would be made does.
    pub(crate) fn recipe(&self) -> String {
        format!("{} {} {}", settings::DEBIAN, self.variant, self.packages)
    }

    /// The archive, made if it is not there yet.
    pub(crate) async fn archive(&self, settings: &Settings, tail: &Tail) -> Result<PathBuf, Error> {
        let hash = hex::encode(Sha256::digest(self.recipe()));
        let folder = settings.cache().join("debian");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let archive = folder.join(format!("{}-{}-{}.tar", self.name, settings::DEBIAN, &hash[..12]));
        if archive.exists() {
            return Ok(archive);
        }
        // mmdebstrap takes the format from the file's suffix.
        let part = folder.join(format!("{}.part.tar", self.name));
        let bootstrap = Command::new("mmdebstrap")
            .log(settings.log(&format!("debian-{}", self.name)))
            .tail(tail)
            .limit(std::time::Duration::from_mins(15))
            .arg(format!("--variant={}", self.variant))
            .arg("--aptopt=Acquire::Languages \"none\"")
            .arg(format!("--include={}", self.packages))
            .args(["man", "locale", "doc"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")))
            .arg("--dpkgopt=path-include=/usr/share/doc/*/copyright")
            // Some packages, Java's among them, cannot be set up where this folder is missing.
            .arg("--essential-hook=mkdir -p \"$1/usr/share/man/man1\"")
            .arg(settings::DEBIAN)
            .arg(&part);
        bootstrap.run().await.map_err(Error::step(format!("fetching Debian's packages for {}", self.name)))?;
        std::fs::rename(&part, &archive).map_err(Error::file(&archive))?;
        Ok(archive)
    }
}
