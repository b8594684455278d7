//! What is wrong with one platform or one kind of object delays no other.

use std::{collections::HashSet, time::Duration};

use todo_e2e::{
    faults::{APPS, Action, Ground, Operator, Options, SETTLED, Snapshot, Walk},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::support::{beside_others, free_port};

/// Longer than anything else takes.
const STUCK: Duration = Duration::from_mins(10);

/// More than there are places for passes to write in.
const MANY: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn platforms_whose_writes_hang_delay_no_other() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (mut proxy, other) = (ground.proxy().await?, ground.walk(MANY).await?);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), None, "operator")?;
    let mut stuck = Vec::new();
    for n in 0..MANY {
        stuck.push(ground.walk(n).await?);
    }
    let writes = |walk: &Walk<'_>| Target { verb: "patch", namespace: walk.namespace.clone(), ..Target::default() };
    proxy.set(stuck.iter().map(|walk| Rule::always(writes(walk), Fault::Delay(STUCK))).collect());
    for walk in &stuck {
        Action::Create.perform(&ground.client, &walk.namespace).await?;
    }
    until("writes of most of them hang", SETTLED, || async {
        let hanging: HashSet<_> = proxy.happened().into_iter().map(|(target, _)| target.namespace).collect();
        Ok((hanging.len() >= MANY - 4).then_some(()))
    })
    .await?;
    Action::Create.perform(&ground.client, &other.namespace).await?;
    until("the other is made", SETTLED, || async {
        let now = ground.snapshot(&other.namespace).await?;
        Ok(APPS.iter().all(|app| now.get(&format!("Deployment/{app}")).is_some()).then_some(()))
    })
    .await?;
    for walk in &stuck {
        let stuck = ground.snapshot(&walk.namespace).await?;
        anyhow::ensure!(!stuck.keys().any(|key| key.starts_with("Deployment/")), "{} was not stuck", walk.namespace);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_may_not_be_watched_holds_up_its_own_objects_and_no_others() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    let of_ingresses = |verb| Target { verb, resource: "ingresses".to_owned(), ..Target::default() };
    let forbidden = ["list", "watch"].map(|verb| Rule::always(of_ingresses(verb), Fault::Refuse(403)));
    proxy.set(forbidden.to_vec());
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    Action::Create.perform(&ground.client, &walk.namespace).await?;
    let end = ground.created(&proxy, &walk.namespace).await?;
    anyhow::ensure!(!end.keys().any(|key| key.starts_with("Ingress/")), "an Ingress was made that nobody may watch");
    anyhow::ensure!(end.get("HorizontalPodAutoscaler/backend-service").is_some(), "other kinds were held up");
    let degraded = |now: &Snapshot| {
        let conditions = now.get("TodoPlatform/todo").and_then(|it| it["status"]["conditions"].as_array().cloned());
        conditions.unwrap_or_default().into_iter().find(|one| one["type"] == "Degraded").unwrap_or_default()
    };
    let said = degraded(&end);
    anyhow::ensure!(said["reason"] == "KindUnwatched" && said["status"] == "True", "it is told {said}");

    // And when it may be watched again, it is made up for.
    proxy.set(Vec::new());
    until("the Ingress is made", SETTLED, || async {
        let now = ground.snapshot(&walk.namespace).await?;
        let is_well = now.get("Ingress/frontend-service").is_some() && degraded(&now)["status"] == "False";
        Ok(is_well.then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_cannot_be_read_is_told_so_once_and_delays_no_other() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (poisoned, before, after) = (ground.walk(0).await?, ground.walk(1).await?, ground.walk(2).await?);
    ground.poison(&poisoned.namespace).await?;
    let mut proxy = ground.proxy().await?;
    // One that is in the first list, and one that comes later.
    Action::Create.perform(&ground.client, &before.namespace).await?;
    let port = free_port()?;
    let options = Options { management: Some(port), ..Options::default() };
    let _operator = Operator::start_with(&mut proxy, ground.folder.path(), None, "operator", options)?;
    ground.created(&proxy, &before.namespace).await?;
    Action::Create.perform(&ground.client, &after.namespace).await?;
    ground.created(&proxy, &after.namespace).await?;

    let now = ground.snapshot(&poisoned.namespace).await?;
    let said = now.get("TodoPlatform/todo").map(|platform| platform["status"]["conditions"][0].clone());
    let said = said.unwrap_or_default();
    anyhow::ensure!(said["reason"] == "SpecInvalid", "it is told {said}");
    anyhow::ensure!(now.keys().count() == 1, "made of it: {:?}", now.keys().collect::<Vec<_>>());
    let ledger = proxy.ledger();
    let asked = ledger.all().filter(|entry| entry.target.namespace == poisoned.namespace).count();
    anyhow::ensure!(asked == 1, "{asked} requests because of it:\n{ledger}");
    let metrics = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await?.text().await?;
    let is_gauge = |line: &&str| {
        let labels = [format!("namespace=\"{}\"", poisoned.namespace), "type=\"Ready\"".to_owned()];
        line.starts_with("todo_operator_condition{") && labels.iter().all(|label| line.contains(label))
    };
    let told = metrics.lines().find(is_gauge);
    anyhow::ensure!(told.is_some_and(|line| line.ends_with(" 0")), "its metric says {told:?}");
    Ok(())
}
