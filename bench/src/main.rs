//! `cargo xtask bench NAME`: figures, which tests must not depend on. Each bench compares within one run, because the
//! machines that it runs on are noisy; README.md has what was measured.
#![forbid(unsafe_code)]

mod chaos;
mod faults;
mod isolation;
mod latency;
mod leaves;
mod mutants;
mod quiet;
mod scale;
mod services;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use signals::unless_ended;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
enum Bench {
    /// Every part of a platform killed, frozen and cut off, with a check that nothing is lost; and how a backlog drains.
    Chaos(chaos::Arguments),
    /// Something goes wrong at each write and watch of the operator; the end has to be the same.
    Faults(faults::Arguments),
    /// How soon changes are answered while something is wrong with another platform, or with a kind of object.
    Isolation(isolation::Arguments),
    /// Every field of the spec changed and changed back; all has to be as before.
    Leaves(leaves::Arguments),
    /// Whether the tests that guard events notice when the services are made wrong.
    Mutants(mutants::Arguments),
    /// What is asked of the API server while nothing changes, by what it is for.
    Quiet(quiet::Arguments),
    /// One operator with many platforms: how fast, how large, how soon, and what a restart costs.
    Scale(scale::Arguments),
    /// The backend beside a peer in Python, reads through sidecars, and events from commit to effect.
    Services(services::Arguments),
}

impl Bench {
    async fn run(self) -> anyhow::Result<()> {
        match self {
            // It has namespaces to remove, and does so itself.
            Self::Chaos(arguments) => Box::pin(chaos::run(&arguments)).await,
            Self::Faults(arguments) => Box::pin(unless_ended(faults::run(&arguments))).await,
            Self::Isolation(arguments) => Box::pin(unless_ended(isolation::run(&arguments))).await,
            Self::Leaves(arguments) => Box::pin(unless_ended(leaves::run(&arguments))).await,
            Self::Mutants(arguments) => Box::pin(unless_ended(mutants::run(&arguments))).await,
            Self::Quiet(arguments) => Box::pin(unless_ended(quiet::run(&arguments))).await,
            Self::Scale(arguments) => Box::pin(unless_ended(scale::run(&arguments))).await,
            Self::Services(arguments) => Box::pin(unless_ended(services::run(&arguments))).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(Bench::parse().run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
