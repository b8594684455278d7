//! `todo-operator run`: the controller.

use clap::Args;

/// How the controller runs.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {}

/// Runs the controller until it is told to stop.
#[allow(clippy::unused_async)]
pub async fn run(_args: RunArgs) -> anyhow::Result<()> {
    anyhow::bail!("the controller is not part of this build")
}
