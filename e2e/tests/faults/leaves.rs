//! Fields of the spec, changed and changed back.

use todo_e2e::faults::{Changed, Ground, Leaf, Life};

use crate::support::{beside_others, seed};

/// Fields of one run. `cargo xtask bench leaves` tries all.
const FIELDS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_changed_and_changed_back_leaves_all_as_it_was() -> anyhow::Result<()> {
    let (_processors, seed, ground) = (beside_others().await, seed()?, Ground::start_for(Life::Managed).await?);
    let schema = ground.spec_schema().await?;
    let leaves = Leaf::sample(&schema, FIELDS, seed);
    let Changed { refused, taken, wrong } = ground.change(&leaves, &schema).await?;
    println!("{} fields: {refused} values refused with words, {taken} taken and taken back", leaves.len());
    anyhow::ensure!(wrong.is_empty(), "{} wrong, SEED={seed}:\n{}", wrong.len(), wrong.join("\n"));
    anyhow::ensure!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
    Ok(())
}
