//! The command line.

mod crd;
pub mod render;
pub mod render_local;
pub mod run;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::resolve::Settings;

/// Runs todo platforms on Kubernetes and Dapr.
#[derive(Debug, Parser)]
#[command(name = "todo-operator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch `TodoPlatform`s and make them real.
    Run(Box<run::RunArgs>),
    /// Print the `CustomResourceDefinition`.
    Crd,
    /// Print the objects of a platform as YAML in apply order, without a cluster and without values of Secrets.
    Render(RenderArgs),
}

#[derive(Debug, Args)]
struct RenderArgs {
    /// File with one `TodoPlatform`; other documents in it are passed over.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Namespace, in place of the one in the file.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Write files for `dapr run -f` into this folder instead, for a machine without Kubernetes.
    #[arg(long, value_name = "DIR", conflicts_with = "namespace")]
    local: Option<PathBuf>,
}

/// Reads the command line and does what it says. What went wrong is printed.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(*args),
        Command::Crd => crd::print(&mut io::stdout().lock()),
        Command::Render(args) => render(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("todo-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: run::RunArgs) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run::run(args))
}

fn render(args: &RenderArgs) -> anyhow::Result<()> {
    let settings = Settings::default();
    match &args.local {
        Some(dir) => render_local::render_local(&args.file, dir, &settings)?,
        None => render::render(&args.file, args.namespace.as_deref(), &settings, &mut io::stdout().lock())?,
    }
    Ok(())
}
