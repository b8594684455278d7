//! The web page's files.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    cluster::{Error, Settings},
    command::Command,
    progress::Tail,
};

/// Builds the page and returns the folder of its files.
pub(super) async fn build(settings: &Settings, tail: &Tail) -> Result<PathBuf, Error> {
    let folder = source();
    let npm = |arguments: &[&str]| {
        let npm = Command::new("npm").args(arguments).dir(&folder).limit(Duration::from_mins(10));
        npm.log(settings.log("page")).tail(tail)
    };
    npm(&["ci", "--no-audit", "--no-fund"])
        .run()
        .await
        .map_err(Error::step("installing what the page is built with"))?;
    npm(&["run", "build"]).run().await.map_err(Error::step("building the page"))?;
    Ok(built())
}

/// The folder of the files that were built last.
pub(super) fn built() -> PathBuf {
    source().join("dist")
}

fn source() -> PathBuf {
    Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("services/frontend/web")
}
