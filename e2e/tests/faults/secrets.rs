//! Secrets that cannot be read for a while.

use std::time::{Duration, Instant};

use k8s_openapi::{api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Api, Client};
use serde_json::json;
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{APPS, Ground, Operator, SETTLED},
    harness::{until, wait},
    proxy::{Fault, Proxy, Rule, Target},
};

use crate::support::{beside_others, change_spec};

/// What happens to each read of a Secret, and what the status then says of it.
const FAULTS: [(Fault, &str); 3] = [
    (Fault::Refuse(403), "refused as a test wants it"),
    (Fault::Refuse(500), "refused as a test wants it"),
    (Fault::HangAfter, "no answer within"),
];
/// What is read of the platforms here, and made by the test.
const NAMED: &str = "postgres-connection";

async fn condition(client: &Client, namespace: &str, name: &str) -> anyhow::Result<Option<Condition>> {
    let status = Api::<TodoPlatform>::namespaced(client.clone(), namespace).get("todo").await?.status;
    Ok(status.and_then(|status| status.conditions.into_iter().find(|one| one.type_ == name)))
}

/// Waits until the status says that Secrets cannot be read, in these words.
async fn unreadable(client: &Client, namespace: &str, words: &str) -> anyhow::Result<()> {
    for (name, status) in [("SecretsReady", "Unknown"), ("Degraded", "True")] {
        until(&format!("{name} of {namespace} is {status}, SecretsUnreadable, {words:?}"), SETTLED, || async {
            let is = condition(client, namespace, name).await?;
            let said = is.as_ref().is_some_and(|is| {
                is.status == status && is.reason == "SecretsUnreadable" && is.message.contains(words)
            });
            anyhow::ensure!(said, "it is {is:?}");
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

/// Waits until passes have tried to read it twice since then, so that one at least has ended that began later.
async fn tried(proxy: &Proxy, namespace: &str, since: Instant) -> anyhow::Result<()> {
    until("Secrets are asked for again and again", SETTLED, || async {
        let ledger = proxy.ledger().since(since).in_namespace(namespace);
        let reads = ledger.all().filter(|entry| entry.target.resource == "secrets" && entry.target.name == NAMED);
        Ok((reads.count() >= 2).then_some(()))
    })
    .await
}

/// Waits until the services are made, the frontend with so many replicas, and Secrets are ready.
async fn made(client: &Client, namespace: &str, replicas: i32) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    until(&format!("all of {namespace} is as its spec"), SETTLED, || async {
        for app in APPS {
            let is = deployments.get(app).await?.spec.and_then(|spec| spec.replicas);
            anyhow::ensure!(app != "frontend-service" || is == Some(replicas), "{app} has {is:?} replicas");
        }
        for (name, status) in [("SecretsReady", "True"), ("Degraded", "False")] {
            let is = condition(client, namespace, name).await?;
            anyhow::ensure!(is.as_ref().is_some_and(|is| is.status == status), "{is:?}");
        }
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_secrets_cannot_be_read_only_the_status_is_written_and_all_is_made_up_for_afterwards()
-> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, mut proxy) = (&ground.client, ground.proxy().await?);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), None, "operator")?;
    let old = ground.another_walk().await?;
    Ground::make_platform(client, &old.namespace).await?;
    made(client, &old.namespace, 1).await?;
    for ((fault, words), replicas) in FAULTS.into_iter().zip(2..) {
        let reads = Target { verb: "get", resource: "secrets".to_owned(), ..Target::default() };
        proxy.set(vec![Rule::always(reads, fault)]);
        // What was read before is good for some seconds more.
        unreadable(client, &old.namespace, words).await?;
        let (begun, before) = (Instant::now(), ground.snapshot(&old.namespace).await?);
        // One that is there is changed, and another one is new.
        change_spec(client, &old.namespace, &json!({"services": {"frontend": {"replicas": replicas}}})).await?;
        let new = ground.another_walk().await?;
        Ground::make_platform(client, &new.namespace).await?;
        unreadable(client, &new.namespace, words).await?;
        for namespace in [&old.namespace, &new.namespace] {
            tried(&proxy, namespace, begun).await?;
        }
        wait::throughout("only the status is written", Duration::from_secs(3), || async {
            let ledger = proxy.ledger().since(begun);
            Ok(ledger.work().all(|entry| entry.target.resource == "todoplatforms"))
        })
        .await?;
        let mut differences = ground.snapshot(&old.namespace).await?.differences(&before);
        differences.retain(|line| !line.starts_with("TodoPlatform/"));
        anyhow::ensure!(differences.is_empty(), "{fault}: changed: {}", differences.join("\n"));
        let is = ground.snapshot(&new.namespace).await?;
        let there: Vec<&str> = is.keys().collect();
        let secret = format!("Secret/{NAMED}");
        anyhow::ensure!(there == [secret.as_str(), "TodoPlatform/todo"], "{fault}: made: {there:?}");

        proxy.set(Vec::new());
        made(client, &old.namespace, replicas).await?;
        made(client, &new.namespace, 1).await?;
    }
    Ok(())
}
