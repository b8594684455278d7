//! `cargo xtask bench leaves`: every field of the spec changed and changed back. What is refused has to be refused with words,
//! and after what is taken and taken back all has to be as before.

use std::time::Instant;

use todo_e2e::faults::{Changed, Ground, Leaf, Life};

/// How much is tried.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only so many fields, some of each part of the spec.
    #[arg(long)]
    fields: Option<usize>,
    /// Only those whose names begin so, for example `spec.kafka`.
    #[arg(long)]
    under: Option<String>,
    /// For the same fields again.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let ground = Ground::start_for(Life::Managed).await?;
    let schema = ground.spec_schema().await?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let leaves = match arguments.fields {
        Some(count) => Leaf::sample(&schema, count, seed),
        None => Leaf::all(&schema),
    };
    let is_meant = |leaf: &Leaf| arguments.under.as_ref().is_none_or(|part| leaf.to_string().starts_with(part));
    let leaves: Vec<Leaf> = leaves.into_iter().filter(is_meant).collect();
    println!("{} fields, seed {seed}", leaves.len());
    let begun = Instant::now();
    let Changed { refused, taken, wrong } = ground.change(&leaves, &schema).await?;
    for wrong in &wrong {
        println!("\n{wrong}");
    }
    let took = begun.elapsed();
    println!("{refused} values refused with words, {taken} taken and taken back, {} wrong; {took:.0?}", wrong.len());
    anyhow::ensure!(wrong.is_empty(), "{} wrong", wrong.len());
    Ok(())
}
