//! Several replicas of the operator, and a server that goes away under them.

use std::time::{Duration, Instant};

use anyhow::Context;
use kube::api::{Patch, PatchParams};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use todo_e2e::{
    faults::{Action, Ground, Operator, SETTLED},
    harness::until,
    proxy::Proxy,
};

use crate::support::{LEASE, beside_others, holder, leases, seed, undisturbed};

/// Sooner than the next of writes that come one after the other.
const AT_ONCE: Duration = Duration::from_millis(2);

async fn is_led_by(ground: &Ground, namespace: &str, replica: &str) -> anyhow::Result<()> {
    until(&format!("{replica} leads"), SETTLED, || async {
        Ok((holder(ground, namespace).await? == replica).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_goes_on_where_a_killed_leader_ended_and_a_clean_stop_gives_the_lease_back() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let walk = ground.walk(1).await?;
    let (mut first_proxy, mut second_proxy) = (ground.proxy().await?, ground.proxy().await?);
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());

    let first = Operator::start(&mut first_proxy, folder, Some(namespace), "first")?;
    is_led_by(&ground, namespace, "first").await?;
    let second = Operator::start(&mut second_proxy, folder, Some(namespace), "second")?;
    let mut followed = walk.followed(course);
    walk.perform(Action::Create).await?;
    followed.reaches(Action::Create, &[&first_proxy]).await?;
    anyhow::ensure!(second_proxy.ledger().work().next().is_none(), "a standby wrote:\n{}", second_proxy.ledger());

    first.kill().await?;
    walk.perform(Action::Update).await?;
    followed.reaches(Action::Update, &[&second_proxy]).await?;
    anyhow::ensure!(second_proxy.ledger().work().next().is_some(), "the standby wrote nothing");

    second.stop().await?;
    let holder = holder(&ground, namespace).await?;
    anyhow::ensure!(holder.is_empty(), "{holder} still holds the Lease after it ended");
    let mut third_proxy = ground.proxy().await?;
    let _third = Operator::start(&mut third_proxy, folder, Some(namespace), "third")?;
    walk.perform(Action::Scale).await?;
    followed.reaches(Action::Scale, &[&third_proxy]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_both_believe_to_lead_leave_what_one_leaves() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    // A changed password is not among them: one that led a moment ago may act on the one that it has read before.
    let actions = [Action::Create, Action::Update, Action::Scale];
    let walk = ground.walk(1).await?;
    let (mut first_proxy, mut second_proxy) = (ground.proxy().await?, ground.proxy().await?);
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());
    let _first = Operator::start(&mut first_proxy, folder, Some(namespace), "first")?;
    is_led_by(&ground, namespace, "first").await?;
    let _second = Operator::start(&mut second_proxy, folder, Some(namespace), "second")?;
    let mut followed = walk.followed(course);
    for (action, leader) in actions.into_iter().zip(["second", "first", "second"]) {
        // Taken from the one that leads, which learns of it only when it looks again.
        let taken = json!({"spec": {"holderIdentity": leader}});
        leases(&ground, namespace).patch(LEASE, &PatchParams::default(), &Patch::Merge(taken)).await?;
        walk.perform(action).await?;
        followed.reaches(action, &[&first_proxy, &second_proxy]).await?;
    }
    for (replica, proxy) in [("first", &first_proxy), ("second", &second_proxy)] {
        anyhow::ensure!(proxy.ledger().work().next().is_some(), "{replica} never wrote");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_at_some_write_of_each_change_costs_nothing_but_time() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let mut random = StdRng::seed_from_u64(seed()?);
    let walk = ground.walk(1).await?;
    let mut proxy = ground.proxy().await?;
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    let mut followed = walk.followed(course);
    for action in Action::ALL {
        // Of a deletion none may come at all: it is the garbage collector's work.
        let most = if action == Action::Delete { 0 } else { course.writes(action) };
        let nth = random.random_range(0..=most);
        let begun = Instant::now();
        walk.perform(action).await?;
        written(&proxy, begun, nth).await.with_context(|| format!("write {nth} of {action:?}"))?;
        ground.plane.restart_api_server().await?;
        followed.reaches(action, &[&proxy]).await.with_context(|| format!("killed at write {nth} of {action:?}"))?;
    }
    Ok(())
}

/// Returns as soon as so much has been written.
async fn written(proxy: &Proxy, since: Instant, writes: usize) -> anyhow::Result<()> {
    let all = async {
        while proxy.written_since(since) < writes {
            tokio::time::sleep(AT_ONCE).await;
        }
    };
    tokio::time::timeout(SETTLED, all).await.context("not written")
}
