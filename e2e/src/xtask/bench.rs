//! `cargo xtask bench`: hands over to the benches, built with optimisations.

use tokio::process::Command;

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut bench = Command::new("cargo");
    bench.args(["run", "--quiet", "--release", "--locked", "--package", "todo-bench", "--"]).args(arguments);
    bench.current_dir(super::root());
    let status = bench.status().await?;
    anyhow::ensure!(status.success(), "the bench failed ({status})");
    Ok(())
}
