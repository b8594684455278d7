//! The Lease while the requests about it go wrong.

use std::time::Instant;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use todo_e2e::{
    faults::{Action, Course, Ground, OF_WRITES, Operator, SETTLED},
    harness::until,
    proxy::{Entry, Fault, Proxy, Rule, Target},
};

use crate::support::{beside_others, change_spec, undisturbed};

/// Lives at the same time: each waits for most of the time.
const TOGETHER: usize = 4;

fn of_lease(verb: &'static str, namespace: &str) -> Target {
    let (resource, name) = ("leases".to_owned(), "todo-operator".to_owned());
    Target { verb, resource, name, namespace: namespace.to_owned(), ..Target::default() }
}

/// Whether it was answered a question about the Lease, or a write of it that did it.
fn is_of_lease(entry: &Entry) -> bool {
    entry.target.resource == "leases" && entry.status == Some(200)
}

/// Whether it took or renewed the Lease.
fn takes(entry: &Entry) -> bool {
    is_of_lease(entry) && entry.target.verb == "update"
}

async fn happened(proxy: &Proxy, what: &str) -> anyhow::Result<()> {
    until(what, SETTLED, || async { Ok((!proxy.happened().is_empty()).then_some(())) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_making_renewal_and_release_go_wrong_costs_nothing_but_time() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let lives = (0..OF_WRITES.len()).map(|first| {
        let faults = [0, 1, 2].map(|further| OF_WRITES[(first + further) % OF_WRITES.len()]);
        let (ground, what) = (&ground, faults.map(|fault| fault.to_string()).join(", "));
        async move { life(ground, course, faults).await.with_context(|| format!("making, renewal, release: {what}")) }
    });
    stream::iter(lives).buffer_unordered(TOGETHER).try_collect().await
}

/// A platform that is made, changed and scaled, while the Lease cannot be made, renewed and released as usual.
async fn life(ground: &Ground, course: &Course, [making, renewal, release]: [Fault; 3]) -> anyhow::Result<()> {
    let walk = ground.another_walk().await?;
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());
    let (mut first_proxy, mut second_proxy) = (ground.proxy().await?, ground.proxy().await?);
    first_proxy.set(vec![Rule::once(of_lease("create", namespace), making)]);
    let first = Operator::start(&mut first_proxy, folder, Some(namespace), "first")?;
    let mut followed = walk.followed(course);
    walk.perform(Action::Create).await?;
    followed.reaches(Action::Create, &[&first_proxy]).await?;
    happened(&first_proxy, "the Lease is made with a fault").await?;

    first_proxy.set(vec![Rule::once(of_lease("update", namespace), renewal)]);
    happened(&first_proxy, "the Lease is renewed with a fault").await?;
    walk.perform(Action::Update).await?;
    followed.reaches(Action::Update, &[&first_proxy]).await?;

    first_proxy.set(vec![Rule::always(of_lease("update", namespace), release)]);
    let stopped = first.stop().await;
    let is_killed = matches!(release, Fault::KillBefore | Fault::KillAfter);
    anyhow::ensure!(is_killed || stopped.is_ok(), "{stopped:?}:\n{}", first.last_words(12));
    happened(&first_proxy, "the Lease is released with a fault").await?;

    // Which may have to wait until the Lease has run out.
    let _second = Operator::start(&mut second_proxy, folder, Some(namespace), "second")?;
    walk.perform(Action::Scale).await?;
    followed.reaches(Action::Scale, &[&second_proxy]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_has_written_for_the_last_time_before_another_leads() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let lives = [Fault::Refuse(500), Fault::CutBefore].map(|fault| {
        let ground = &ground;
        async move { hand_over(ground, fault).await.with_context(|| format!("renewals: {fault}")) }
    });
    stream::iter(lives).buffer_unordered(TOGETHER).try_collect().await
}

/// Changes the spec again and again while one that leads cannot renew the Lease, until another has taken it.
async fn hand_over(ground: &Ground, fault: Fault) -> anyhow::Result<()> {
    let walk = ground.another_walk().await?;
    let (folder, namespace) = (ground.folder.path(), walk.namespace.as_str());
    let (mut first_proxy, mut second_proxy) = (ground.proxy().await?, ground.proxy().await?);
    let _first = Operator::start(&mut first_proxy, folder, Some(namespace), "first")?;
    Ground::make_platform(&ground.client, namespace).await?;
    ground.created(&first_proxy, namespace).await?;
    let _second = Operator::start(&mut second_proxy, folder, Some(namespace), "second")?;
    until("the second waits for the Lease", SETTLED, || async {
        Ok(second_proxy.ledger().all().any(is_of_lease).then_some(()))
    })
    .await?;

    let lost = Instant::now();
    first_proxy.set(vec![Rule::always(of_lease("update", namespace), fault)]);
    let (client, of_second) = (&ground.client, &second_proxy);
    let mut replicas = 2;
    until("the second leads and writes", SETTLED, || {
        replicas = 5 - replicas;
        let spec = json!({"services": {"frontend": {"replicas": replicas}}});
        async move {
            change_spec(client, namespace, &spec).await?;
            let ledger = of_second.ledger();
            Ok((ledger.all().any(takes) && ledger.work().next().is_some()).then_some(()))
        }
    })
    .await?;

    let (of_first, of_second) = (first_proxy.ledger().since(lost), second_proxy.ledger());
    let taken = of_second.all().find(|entry| takes(entry)).context("never taken")?.at;
    let final_write = of_first.work().last().context("the first wrote nothing although it still led")?.at;
    anyhow::ensure!(final_write < taken, "written {:?} after the second led:\n{of_first}", final_write - taken);
    let early = of_second.work().find(|entry| entry.at < taken);
    anyhow::ensure!(early.is_none(), "the second wrote before it led: {early:?}");
    Ok(())
}
