//! A platform's life with something that goes wrong between the operator and the API server.

use std::collections::BTreeSet;

use todo_e2e::faults::{Action, Cell, Course, Ground, Group, Life, Lived, Plan, TOGETHER, again, sample, sample_of};

use crate::support::{alone, beside_others, seed, undisturbed};

/// How often lives are begun for what has not happened yet, the first ones included.
const ROUNDS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_life_in_which_requests_and_watches_fail_ends_as_one_in_which_none_does() -> anyhow::Result<()> {
    let (seed, course) = (seed()?, undisturbed().await?);
    let (_processors, ground) = (alone().await, Ground::start().await?);
    all_end_well(&ground, sample(course, seed), course, course.groups(|_| true), seed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_whose_kafka_and_postgresql_others_run() -> anyhow::Result<()> {
    let (seed, plain) = (seed()?, undisturbed().await?);
    let ground = Ground::start_for(Life::Managed).await?;
    let course = {
        let _processors = beside_others().await;
        ground.walk(0).await?.undisturbed(&Action::ALL).await?
    };
    let _processors = alone().await;
    let known = plain.resources();
    let is_new = |resource: &str| !known.contains(resource);
    all_end_well(&ground, sample_of(&course, is_new, seed), &course, course.groups(is_new), seed).await
}

/// Lives `plans`, and more of them until each of these groups has happened once.
async fn all_end_well(
    ground: &Ground,
    mut plans: Vec<Plan>,
    course: &Course,
    mut missing: BTreeSet<Group>,
    seed: u64,
) -> anyhow::Result<()> {
    for round in 1..=ROUNDS {
        let Lived { planned, happened, wrong } = ground.live(&plans, course, TOGETHER).await?;
        println!("{} of {planned} faults happened in {} lives", happened.len(), plans.len());
        anyhow::ensure!(wrong.is_empty(), "{} of {} lives ended wrong; SEED={seed}", wrong.len(), plans.len());
        for group in happened.iter().map(Cell::group) {
            missing.remove(&group);
        }
        if missing.is_empty() {
            return Ok(());
        }
        println!("not yet: {}", names(&missing));
        // Other objects of the kind than the last time.
        plans = again(course, &missing, seed.wrapping_add(round));
    }
    anyhow::bail!("never happened: {}; SEED={seed}", names(&missing))
}

fn names(groups: &BTreeSet<Group>) -> String {
    let names: Vec<_> = groups.iter().map(|(resource, fault)| format!("{resource}: {fault}")).collect();
    names.join(", ")
}
