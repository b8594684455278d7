//! `cargo xtask`: everything that is done with the project, by one program.
#![forbid(unsafe_code)]

mod xtask;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match xtask::run(xtask::Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Our errors say what caused them themselves.
            eprintln!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}
