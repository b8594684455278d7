//! `cargo xtask bench`: hands over to the benches, built with optimisations.

use todo_e2e::command::of_own_package;
use tokio::process::Command;

const BUILT: [&str; 3] = ["--release", "--locked", "--quiet"];

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut build = cargo();
    // Some benches run the operator as a process.
    build.arg("build").args(BUILT).args(["--package", "todo-bench", "--package", "todo-operator"]);
    let mut bench = cargo();
    bench.arg("run").args(BUILT).args(["--package", "todo-bench", "--"]).args(arguments);
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
