//! The commands.

mod ask;
mod bench;
mod generate;
mod operator;
mod renewal;
mod sample;
mod test;
mod up;

use std::path::Path;

use clap::{Parser, Subcommand, ValueEnum};
use todo_e2e::{
    cluster::{Cluster, Images, Settings},
    progress::Progress,
};

/// Everything that is done with the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Brings up a cluster with Dapr, the operator and a platform, and says how to use it. Safe to run again.
    Up(up::Arguments),
    /// Removes the cluster that `up` made, and whatever else it did to this machine but the cache of built things.
    Down,
    /// Runs the tests of these kinds, or all.
    Test(test::Arguments),
    /// Measures; without a name, says what can be measured.
    Bench {
        /// Name of a bench, and its options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Writes all files that are generated from others.
    Generate {
        /// Only says whether they are current.
        #[arg(long)]
        check: bool,
    },
    /// Prints the path of the kubeconfig of the cluster that `up` made.
    Kubeconfig,
    /// Prints what a shell needs to work with the cluster that `up` made: `eval "$(cargo xtask env)"`.
    Env,
}

/// Which cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Which {
    /// One of our own, on this machine.
    #[default]
    Kind,
    /// The one that the current kubeconfig names, after asking.
    Existing,
}

/// Where images come from.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum From {
    /// Pulled where registries answer, else built.
    #[default]
    Auto,
    /// Pulled.
    Pull,
    /// Built.
    Build,
}

impl std::convert::From<From> for Images {
    fn from(from: From) -> Self {
        match from {
            From::Auto => Self::Auto,
            From::Pull => Self::Pull,
            From::Build => Self::Build,
        }
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let progress = Progress::new(settings.cache());
    match arguments.command {
        Command::Up(arguments) => up::run(&arguments, &settings, &progress).await,
        Command::Down => {
            progress.expect(1);
            Ok(Cluster::down(&settings, &progress).await?)
        }
        Command::Test(arguments) => test::run(&arguments, &settings, &progress).await,
        Command::Bench { arguments } => bench::run(&arguments, &settings, &progress).await,
        Command::Generate { check } => generate::run(check).await,
        Command::Kubeconfig => {
            println!("{}", Cluster::running(&settings).await?.kubeconfig().display());
            Ok(())
        }
        Command::Env => {
            for (name, value) in Cluster::running(&settings).await?.env() {
                println!("export {name}='{}'", value.replace('\'', r"'\''"));
            }
            Ok(())
        }
    }
}

/// The checkout.
fn root() -> &'static Path {
    Path::new(env!("TODO_PLATFORM_CHECKOUT"))
}
