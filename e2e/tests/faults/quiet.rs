//! What a platform costs the API server.

use std::{collections::BTreeMap, time::Duration};

use todo_e2e::{
    faults::{Ground, Operator},
    proxy::{Ledger, Target},
};

use crate::support::{beside_others, watch_for};

/// How long it is watched at rest.
const REST: Duration = Duration::from_mins(1);
/// The operator's questions about kinds that may come late, and about Dapr's injector, are asked once a minute.
const MINUTE: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn each_object_is_written_once_and_none_is_read_and_at_rest_only_named_secrets_are() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    Ground::make_platform(&ground.client, &walk.namespace).await?;
    ground.created(&proxy, &walk.namespace).await?;
    let ledger = proxy.ledger();

    let mut writes: BTreeMap<&Target, usize> = BTreeMap::new();
    for entry in ledger.work() {
        *writes.entry(&entry.target).or_default() += 1;
    }
    let (statuses, objects): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|(target, _)| target.resource == "todoplatforms");
    let repeated: Vec<_> = objects.iter().filter(|(_, times)| *times > 1).collect();
    anyhow::ensure!(repeated.is_empty(), "written more than once: {repeated:?}\n{ledger}");
    let statuses: usize = statuses.iter().map(|(_, times)| times).sum();
    anyhow::ensure!(statuses <= 2, "{statuses} writes of the status\n{ledger}");
    let read = children_read(&ledger);
    anyhow::ensure!(read.is_empty(), "read: {read:?}");
    println!("{} objects by as many writes, {statuses} writes of the status", objects.len());

    let rest = watch_for(REST, &proxy).await;
    let writes: Vec<_> = rest.work().map(|entry| entry.target.to_string()).collect();
    anyhow::ensure!(writes.is_empty(), "written at rest: {writes:?}");
    let events = rest.all().filter(|entry| entry.target.resource == "events").count();
    anyhow::ensure!(events == 0, "{events} events at rest");
    let read = children_read(&rest);
    anyhow::ensure!(read.is_empty(), "read at rest: {read:?}");
    let injector = rest.all().filter(|entry| entry.target.name == "dapr-sidecar-injector").count();
    anyhow::ensure!(injector <= MINUTE, "the injector was read {injector} times in a minute");
    let named = ["postgres-connection", "todo-app-token"];
    let other: Vec<_> = rest
        .all()
        .map(|entry| &entry.target)
        .filter(|target| {
            target.resource == "secrets" && (target.verb != "get" || !named.contains(&target.name.as_str()))
        })
        .collect();
    anyhow::ensure!(other.is_empty(), "Secrets: {other:?}");
    Ok(())
}

/// Objects of the platform that were read one by one, Secrets apart.
fn children_read(ledger: &Ledger) -> Vec<String> {
    let besides = ["", "secrets", "leases"];
    let read = ledger.all().map(|entry| &entry.target).filter(|target| {
        target.verb == "get" && !besides.contains(&target.resource.as_str()) && target.name != "dapr-sidecar-injector"
    });
    read.map(ToString::to_string).collect()
}
