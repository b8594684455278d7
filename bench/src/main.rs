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

use std::process::ExitCode;

use clap::Parser;

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

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Bench::parse() {
        Bench::Chaos(arguments) => chaos::run(&arguments).await,
        Bench::Faults(arguments) => faults::run(&arguments).await,
        Bench::Isolation(arguments) => isolation::run(&arguments).await,
        Bench::Leaves(arguments) => leaves::run(&arguments).await,
        Bench::Mutants(arguments) => mutants::run(&arguments).await,
        Bench::Quiet(arguments) => quiet::run(&arguments).await,
        Bench::Scale(arguments) => scale::run(&arguments).await,
        Bench::Services(arguments) => services::run(&arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
