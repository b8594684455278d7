//! The command line.

mod changes;
mod client;
mod crd;
mod diff;
mod entries;
mod findings;
mod preflight;
mod releases;
pub mod render;
pub mod render_local;
pub mod run;
mod skew;
mod status;
mod tree;

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
    /// Print what the operator would change if a platform were applied: 0 if nothing, 1 if something, 2 on an error.
    Diff(diff::DiffArgs),
    /// Say whether a cluster has what the operator needs, and what to do about what is missing.
    Preflight(preflight::PreflightArgs),
    /// Print a platform with its conditions, components, services and pods; 0 if it is Ready.
    Status(status::StatusArgs),
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
    /// With --local: folder of the built web page.
    #[arg(long, value_name = "DIR", default_value = "services/frontend/web/dist", requires = "local")]
    web_root: PathBuf,
}

/// Reads the command line and does what it says. What went wrong is printed.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    // With 1, `diff` says that there are differences.
    let failure = if matches!(command, Command::Diff(_)) { ExitCode::from(entries::ERROR) } else { ExitCode::FAILURE };
    execute(command).unwrap_or_else(|error| {
        eprintln!("todo-operator: {error:#}");
        failure
    })
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    let out = &mut io::stdout();
    match command {
        Command::Run(args) => block_on(run::run(*args))?,
        Command::Crd => crd::print(out)?,
        Command::Render(args) => render(&args)?,
        Command::Diff(args) => return block_on(diff::run(args, out)),
        Command::Preflight(args) => return block_on(preflight::run(args, out)),
        Command::Status(args) => return block_on(status::run(args, out)),
    }
    Ok(ExitCode::SUCCESS)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn render(args: &RenderArgs) -> anyhow::Result<()> {
    let settings = Settings::default();
    match &args.local {
        Some(dir) => render_local::render_local(&args.file, dir, &args.web_root, &settings)?,
        None => render::render(&args.file, args.namespace.as_deref(), &settings, &mut io::stdout().lock())?,
    }
    Ok(())
}
