//! A platform's life with something that goes wrong between the operator and the API server.

use todo_e2e::faults::{Ground, Lived, TOGETHER, sample};

use crate::support::{alone, seed, undisturbed};

#[tokio::test(flavor = "multi_thread")]
async fn a_life_in_which_requests_and_watches_fail_ends_as_one_in_which_none_does() -> anyhow::Result<()> {
    let (seed, course) = (seed()?, undisturbed().await?);
    let (_processors, ground) = (alone().await, Ground::start().await?);
    let plans = sample(course, seed);
    let Lived { planned, happened, wrong } = ground.live(&plans, course, TOGETHER).await?;
    println!("{happened} of {planned} faults happened in {} lives", plans.len());
    anyhow::ensure!(wrong.is_empty(), "{} of {} lives ended wrong; SEED={seed}", wrong.len(), plans.len());
    anyhow::ensure!(2 * happened > planned, "only {happened} of {planned} faults happened");
    Ok(())
}
