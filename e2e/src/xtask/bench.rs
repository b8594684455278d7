//! `cargo xtask bench`: hands over to the benches, built with optimisations.

use todo_e2e::{cluster::Settings, command::of_own_package, faults::PROGRAMS, images, progress::Progress};
use tokio::process::Command;

const BUILT: [&str; 3] = ["--release", "--locked", "--quiet"];

pub(super) async fn run(arguments: &[String], settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    progress.expect(1);
    let programs = images::build_programs(settings, progress).await?;
    let mut build = cargo();
    // With the other programs of the package: one bench runs an operator that panics.
    build.arg("build").args(BUILT).args(["--package", "todo-bench"]);
    let mut bench = cargo();
    bench.env(PROGRAMS, programs);
    bench.arg("run").args(BUILT).args(["--package", "todo-bench", "--bin", "todo-bench", "--"]).args(arguments);
    for mut command in [build, bench] {
        let status = command.status().await?;
        anyhow::ensure!(status.success(), "the bench failed ({status})");
    }
    Ok(())
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(super::root());
    for name in of_own_package() {
        cargo.env_remove(name);
    }
    cargo
}
