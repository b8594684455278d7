//! `cargo xtask bench faults`: a platform's life again and again, with something that goes wrong between the operator and
//! the API server at each write and watch of it. The end has to be the undisturbed one's, object for object.

use std::time::Instant;

use todo_e2e::faults::{self, Action, Ground, Life, Lived};

/// How much goes wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Every fault of every request, instead of each fault of each kind of object once.
    #[arg(long)]
    whole: bool,
    /// Platforms whose Kafka and PostgreSQL other operators run.
    #[arg(long)]
    managed: bool,
    /// For the same sample again.
    #[arg(long)]
    seed: Option<u64>,
    /// Lives at the same time. Most of a life is waiting.
    #[arg(long, default_value_t = faults::TOGETHER)]
    together: usize,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let life = if arguments.managed { Life::Managed } else { Life::Plain };
    let ground = Ground::start_for(life).await?;
    let course = ground.walk(0).await?.undisturbed(&Action::ALL).await?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let plans = if arguments.whole { faults::whole(&course) } else { faults::sample(&course, seed) };
    let begun = Instant::now();
    println!("{} faults in {} platforms, seed {seed}", plans.iter().map(Vec::len).sum::<usize>(), plans.len());
    let Lived { planned, happened, wrong } = ground.live(&plans, &course, arguments.together).await?;
    let took = begun.elapsed();
    println!(
        "{} of {planned} faults happened; {} of {} platforms ended wrong; {took:.0?}",
        happened.len(),
        wrong.len(),
        plans.len()
    );
    anyhow::ensure!(wrong.is_empty(), "{} platforms ended wrong", wrong.len());
    Ok(())
}
