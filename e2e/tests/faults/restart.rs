//! An operator that is started again while nothing is to be done.

use std::time::Duration;

use todo_e2e::{
    faults::{Ground, Operator, SETTLED},
    harness::until,
    proxy::Proxy,
};

use crate::support::{beside_others, watch_for};

/// Longer than the first passes take, with a broker that has to be given up on.
const LOOKED: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_started_again_writes_nothing_until_it_knows_better() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let start = async |namespace: &str| {
        let mut proxy = ground.proxy().await?;
        let operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
        anyhow::Ok((operator, proxy))
    };
    let walk = ground.walk(0).await?;
    let (first, proxy) = start(&walk.namespace).await?;
    Ground::make_platform(&ground.client, &walk.namespace).await?;
    ground.created(&proxy, &walk.namespace).await?;
    first.stop().await?;

    let (_second, proxy) = start(&walk.namespace).await?;
    let ledger = watch_for(LOOKED, &proxy).await;
    let looked = ledger.all().any(|entry| entry.target.resource == "secrets");
    anyhow::ensure!(looked, "there was no pass:\n{ledger}");
    let writes: Vec<_> = ledger.work().map(|entry| entry.target.to_string()).collect();
    anyhow::ensure!(writes.is_empty(), "written after a restart: {writes:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_started_again_does_not_tell_again_what_cannot_be_read() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    ground.poison(&walk.namespace).await?;
    let start = |proxy: &mut Proxy| Operator::start(proxy, ground.folder.path(), Some(&walk.namespace), "operator");
    let status = async || {
        let now = ground.snapshot(&walk.namespace).await?;
        anyhow::Ok(now.get("TodoPlatform/todo").map(|platform| platform["status"].clone()).unwrap_or_default())
    };
    let first = start(&mut proxy)?;
    until("it is told", SETTLED, || async {
        Ok((status().await?["conditions"][0]["reason"] == "SpecInvalid").then_some(()))
    })
    .await?;
    first.stop().await?;

    let mut proxy = ground.proxy().await?;
    let _second = start(&mut proxy)?;
    let ledger = watch_for(LOOKED, &proxy).await;
    let looked = ledger.all().any(|entry| entry.target.verb == "watch" && entry.target.resource == "todoplatforms");
    anyhow::ensure!(looked, "nobody looked:\n{ledger}");
    let writes: Vec<_> = ledger.work().map(|entry| entry.target.to_string()).collect();
    anyhow::ensure!(writes.is_empty(), "written after a restart: {writes:?}");
    Ok(())
}
