//! How the programs are linked: their build script.
//!
//! A static program can be loaded anywhere, so each address in its data is put right when it starts, from a list that is read
//! as a whole and stays in memory: 1.5 MB of a backend, of which its packed form takes 30 kB. Only glibc since 2.36 unpacks it
//! in static programs; with an older one they would end before `main`.

use std::process::Command;

const UNPACKS: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-env-changed=CARGO_CFG_TARGET_FEATURE");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let is_static = variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    // Only here is the linker sure to know it.
    let is_known = variable("CARGO_CFG_TARGET_ARCH") == "x86_64" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_static && is_known && glibc().is_some_and(|version| version >= UNPACKS) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc, which a static program gets.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
