//! What a platform costs the API server.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use todo_e2e::{
    faults::{AtRest, EMBEDDED, EXTERNAL, Ground, Named, Operator},
    proxy::{Ledger, Proxy, Target},
};

use crate::support::{beside_others, watch_for};

/// How long it is watched at rest. `cargo xtask bench quiet` does so for longer.
const REST: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn each_object_is_written_once_and_none_is_read_and_at_rest_only_named_secrets_are() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    Ground::make_platform(&ground.client, &walk.namespace).await?;
    ground.created(&proxy, &walk.namespace).await?;
    let ledger = proxy.ledger();
    let (objects, statuses) = written(&ledger)?;
    anyhow::ensure!(statuses <= 2, "{statuses} writes of the status\n{ledger}");
    println!("{objects} objects by as many writes, {statuses} writes of the status");
    rests(&proxy, &walk.namespace, &EXTERNAL).await
}

/// Of the broker that the empty spec asks for, there is no pod: it is looked at again and again.
#[tokio::test(flavor = "multi_thread")]
async fn looks_at_a_broker_that_is_silent_cost_the_api_server_nothing() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    Ground::make_platform_of(&ground.client, &walk.namespace, &json!({})).await?;
    ground.created_but_services(&proxy, &walk.namespace).await?;
    let (objects, statuses) = written(&proxy.ledger())?;
    println!("{objects} objects by as many writes, {statuses} writes of the status");
    rests(&proxy, &walk.namespace, &EMBEDDED).await
}

/// How many objects were written, and how often the status was. No object may have been written twice or read.
fn written(ledger: &Ledger) -> anyhow::Result<(usize, usize)> {
    let mut writes: BTreeMap<&Target, usize> = BTreeMap::new();
    for entry in ledger.work() {
        *writes.entry(&entry.target).or_default() += 1;
    }
    let (statuses, objects): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|(target, _)| target.resource == "todoplatforms");
    let repeated: Vec<_> = objects.iter().filter(|(_, times)| *times > 1).collect();
    anyhow::ensure!(repeated.is_empty(), "written more than once: {repeated:?}\n{ledger}");
    let read = children_read(ledger);
    anyhow::ensure!(read.is_empty(), "read: {read:?}");
    Ok((objects.len(), statuses.iter().map(|(_, times)| times).sum()))
}

/// Objects of the platform that were read one by one, Secrets apart.
fn children_read(ledger: &Ledger) -> Vec<String> {
    let besides = ["", "secrets", "leases"];
    let read = ledger.all().map(|entry| &entry.target).filter(|target| {
        target.verb == "get" && !besides.contains(&target.resource.as_str()) && target.name != "dapr-sidecar-injector"
    });
    read.map(ToString::to_string).collect()
}

/// Watches for a while whether nothing is asked but what may be, and no more often.
async fn rests(proxy: &Proxy, namespace: &str, secrets: &[&str]) -> anyhow::Result<()> {
    let ledger = watch_for(REST, proxy).await;
    let rest = AtRest::of(&ledger, REST, &[Named { namespace, secrets }]);
    println!("{rest}");
    let too_much = rest.too_much();
    anyhow::ensure!(too_much.is_empty(), "too much for a platform at rest: {too_much:?}\n{ledger}");
    let reads = ledger.all().filter(|entry| entry.target.resource == "secrets").count();
    anyhow::ensure!(reads > 0, "the operator does nothing at all\n{ledger}");
    Ok(())
}
