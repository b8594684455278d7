//! The operator and the services as programs that need nothing but a kernel, built outside of any container.

use std::{path::PathBuf, time::Duration};

use crate::{
    cluster::{Error, Settings},
    command::Command,
    progress::Tail,
};

/// Every program that an image is made of.
pub(super) const ALL: [&str; 5] =
    ["todo-operator", "todo-backend", "todo-notification", "todo-recurring-task", "todo-frontend"];

/// Builds all of them and returns their folder. Cargo decides what is to be done; what it makes is kept in the cache, so
/// that a fresh checkout does not build every dependency again.
pub(super) async fn build(settings: &Settings, tail: &Tail) -> Result<PathBuf, Error> {
    let target = target();
    let folder = target_folder(settings);
    // With an explicit target, the flags reach the programs and not the macros, which cannot be static.
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    let cargo = Command::new("cargo")
        .dir(env!("TODO_PLATFORM_CHECKOUT"))
        .env(flags, "-C target-feature=+crt-static")
        .args(["build", "--release", "--locked", "--target", &target, "--target-dir"])
        .arg(&folder)
        .args(ALL.iter().flat_map(|program| ["--package", program]))
        .limit(Duration::from_mins(40))
        .log(settings.log("programs"))
        .tail(tail);
    cargo.run().await.map_err(Error::step("building the operator and the services"))?;
    Ok(built(settings))
}

/// The folder of the programs that were built last.
pub(super) fn built(settings: &Settings) -> PathBuf {
    target_folder(settings).join(target()).join("release")
}

fn target_folder(settings: &Settings) -> PathBuf {
    settings.cache().join("cargo-images")
}

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}
