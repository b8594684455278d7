//! An operator that is told to stop in the middle of its work.

use std::time::Duration;

use futures::future::try_join_all;
use todo_e2e::{
    faults::{Action, Course, Ground, Operator, SETTLED},
    harness::until,
    proxy::{Fault, Proxy, Rule, Target},
};

use crate::support::{beside_others, holder, undisturbed};

/// How long the write takes that is under way then.
const SLOW: Duration = Duration::from_secs(2);
/// Longer than anything else takes.
const STUCK: Duration = Duration::from_mins(10);

/// Writes of the first wave, of what sidecars read, of the last wave, and of the status.
fn writes() -> [Target; 4] {
    [("serviceaccounts", ""), ("components", ""), ("deployments", ""), ("todoplatforms", "status")].map(
        |(resource, subresource)| Target {
            verb: "patch",
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            ..Target::default()
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_told_to_stop_ends_its_writes_gives_the_lease_back_and_leaves_the_rest_to_the_next()
-> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let lives = writes().into_iter().enumerate().map(|(number, write)| is_stopped(&ground, course, number + 1, write));
    try_join_all(lives).await.map(drop)
}

/// Stops an operator while this write of a new platform is under way, and has another one go on.
async fn is_stopped(ground: &Ground, course: &Course, number: usize, write: Target) -> anyhow::Result<()> {
    let (walk, mut proxy) = (ground.walk(number).await?, ground.proxy().await?);
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());
    let operator = Operator::start(&mut proxy, folder, Some(namespace), "first")?;
    proxy.set(vec![Rule::once(write.clone(), Fault::Delay(SLOW))]);
    let mut followed = walk.followed(course);
    walk.perform(Action::Create).await?;
    is_under_way(&proxy, &write).await?;
    operator.stop().await?;

    let ledger = proxy.ledger();
    let cut: Vec<_> = ledger.work().filter(|entry| entry.status.is_none()).map(|entry| &entry.target).collect();
    anyhow::ensure!(cut.is_empty(), "{write}: it ended before these were answered: {cut:?}\n{ledger}");
    let last = ledger.all().filter(|entry| entry.target.is_write()).last().map(|entry| entry.target.resource.as_str());
    anyhow::ensure!(last == Some("leases"), "{write}: it gave the Lease back and wrote on:\n{ledger}");
    let holder = holder(ground, namespace).await?;
    anyhow::ensure!(holder.is_empty(), "{write}: {holder} still holds the Lease");

    let mut proxy = ground.proxy().await?;
    let _next = Operator::start(&mut proxy, folder, Some(namespace), "next")?;
    followed.reaches(Action::Create, &[&proxy]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_writes_hang_stops_all_the_same_and_the_next_ends_where_it_would_have() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let (walk, mut proxy) = (ground.walk(1).await?, ground.proxy().await?);
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());
    let operator = Operator::start(&mut proxy, folder, Some(namespace), "first")?;
    let any = Target { verb: "patch", ..Target::default() };
    proxy.set(vec![Rule::always(any.clone(), Fault::Delay(STUCK))]);
    let mut followed = walk.followed(course);
    walk.perform(Action::Create).await?;
    is_under_way(&proxy, &any).await?;
    operator.stop().await?;
    let mut proxy = ground.proxy().await?;
    let _next = Operator::start(&mut proxy, folder, Some(namespace), "next")?;
    followed.reaches(Action::Create, &[&proxy]).await
}

async fn is_under_way(proxy: &Proxy, write: &Target) -> anyhow::Result<()> {
    until(&format!("{write} is under way"), SETTLED, || async { Ok((!proxy.happened().is_empty()).then_some(())) })
        .await
}
