//! A platform's life with something that goes wrong between the operator and the API server.

use todo_e2e::faults::{Course, Ground, Life, Lived, Plan, TOGETHER, sample, sample_of};

use crate::support::{alone, seed, undisturbed};

#[tokio::test(flavor = "multi_thread")]
async fn a_life_in_which_requests_and_watches_fail_ends_as_one_in_which_none_does() -> anyhow::Result<()> {
    let (seed, course) = (seed()?, undisturbed().await?);
    let (_processors, ground) = (alone().await, Ground::start().await?);
    all_end_well(&ground, &sample(course, seed), course, seed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_whose_kafka_and_postgresql_others_run() -> anyhow::Result<()> {
    let (seed, plain) = (seed()?, undisturbed().await?);
    let (_processors, ground) = (alone().await, Ground::start_for(Life::Managed).await?);
    let course = ground.walk(0).await?.undisturbed(Life::Managed.actions()).await?;
    let known = plain.resources();
    let plans = sample_of(&course, |resource| !known.contains(resource), seed);
    all_end_well(&ground, &plans, &course, seed).await
}

async fn all_end_well(ground: &Ground, plans: &[Plan], course: &Course, seed: u64) -> anyhow::Result<()> {
    let Lived { planned, happened, wrong } = ground.live(plans, course, TOGETHER).await?;
    println!("{happened} of {planned} faults happened in {} lives", plans.len());
    anyhow::ensure!(wrong.is_empty(), "{} of {} lives ended wrong; SEED={seed}", wrong.len(), plans.len());
    anyhow::ensure!(2 * happened > planned, "only {happened} of {planned} faults happened");
    Ok(())
}
