//! The Lease while the requests about it go wrong.

use std::time::Instant;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use todo_e2e::{
    faults::{Ground, Operator, SETTLED},
    harness::until,
    proxy::{Entry, Fault, Rule, Target},
};

use crate::support::{beside_others, change_spec};

/// What happens to each renewal.
const FAULTS: [Fault; 2] = [Fault::Refuse(500), Fault::CutBefore];

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

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_has_written_for_the_last_time_before_another_leads() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let lives = FAULTS.map(|fault| {
        let ground = &ground;
        async move { hand_over(ground, fault).await.with_context(|| format!("renewals: {fault}")) }
    });
    stream::iter(lives).buffer_unordered(FAULTS.len()).try_collect().await
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
    let last = of_first.work().last().context("the first wrote nothing although it still led")?.at;
    anyhow::ensure!(last < taken, "written {:?} after the second led:\n{of_first}", last - taken);
    let early = of_second.work().find(|entry| entry.at < taken);
    anyhow::ensure!(early.is_none(), "the second wrote before it led: {early:?}");
    Ok(())
}
