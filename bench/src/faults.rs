//! `cargo xtask bench faults`: a platform's life again and again, with something that goes wrong between the operator and
//! the API server at each write and watch of it. The end has to be the undisturbed one's, object for object.

use std::time::Instant;

use futures::{StreamExt, stream};
use todo_e2e::faults::{self, Action, Ground};

/// Platforms at the same time.
const TOGETHER: usize = 8;

/// How much goes wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Every fault of every request, instead of each fault of each kind of object once.
    #[arg(long)]
    whole: bool,
    /// For the same sample again.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    let course = ground.walk(0).await?.undisturbed(&Action::ALL).await?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let lives = if arguments.whole { faults::whole(&course) } else { faults::sample(&course, seed) };
    let wanted: usize = lives.iter().map(Vec::len).sum();
    println!("{wanted} faults in {} platforms, seed {seed}", lives.len());

    let begun = Instant::now();
    let walks = stream::iter(lives.iter().enumerate()).map(async |(index, plan)| {
        let walked = ground.walk(index + 1).await?.disturbed(plan, &course).await?;
        for wrong in &walked.wrong {
            println!("\n{wrong}");
        }
        anyhow::Ok(walked)
    });
    let walked: Vec<_> = walks.buffer_unordered(TOGETHER).collect().await;
    let (mut happened, mut wrong) = (0, 0);
    for walked in walked {
        let walked = walked?;
        happened += walked.happened;
        wrong += usize::from(!walked.wrong.is_empty());
    }
    println!(
        "{happened} of {wanted} faults happened; {wrong} of {} platforms ended wrong; {:.0?}",
        lives.len(),
        begun.elapsed()
    );
    anyhow::ensure!(wrong == 0, "{wrong} platforms ended wrong");
    Ok(())
}
