//! How often the status of a platform is written: once for each change of what it means.

use std::time::Duration;

use serde_json::{Value, json};
use todo_e2e::{
    harness::{Namespace, Platform, Statuses, statuses::Version, until},
    rights::{self, Release},
};

/// How long nothing is to be written to a platform that is as it should be.
const REST: Duration = Duration::from_mins(1);
const ROLLED: Duration = Duration::from_mins(2);
/// Pulling, and seeing that it cannot be.
const STUCK: Duration = Duration::from_mins(1);
/// The release of `cargo xtask`.
const OPERATOR: Release<'static> = Release { namespace: "todo-operator", name: "todo-operator" };
/// How often the spec is written here.
const SPECS: usize = 4;

#[tokio::test]
async fn each_write_of_the_status_says_something_new_and_at_rest_there_is_none() {
    Namespace::with("statuses", async |namespace| {
        let statuses = Statuses::of(&namespace).await?;
        let spec = |service: Value| json!({"services": {"notification": service}});
        let platform = Platform::apply(&namespace, "todo", spec(json!({"replicas": 1}))).await?;
        settled(&platform, &statuses, 1).await?;
        let mut told = tell("made", &statuses, 0)?;

        tokio::time::sleep(REST).await;
        told = at_rest(&statuses, told)?;

        Platform::apply(&namespace, "todo", spec(json!({"replicas": 2}))).await?;
        settled(&platform, &statuses, 2).await?;
        stays_ready(&statuses, told)?;
        told = tell("one pod more", &statuses, told)?;

        let broken = json!({"replicas": 2, "image": "127.0.0.1:1/todo-notification:none"});
        Platform::apply(&namespace, "todo", spec(broken)).await?;
        platform.wait("Degraded", "True", STUCK).await?;
        told = tell("an image that does not exist", &statuses, told)?;

        Platform::apply(&namespace, "todo", spec(json!({"replicas": 2}))).await?;
        platform.wait("Degraded", "False", STUCK).await?;
        settled(&platform, &statuses, 2).await?;
        tell("taken back", &statuses, told)?;
        each_write_made_a_version(&namespace, &statuses).await
    })
    .await;
}

/// Waits until all is there, and as many pods of the service, and nothing is under way.
async fn settled(platform: &Platform, statuses: &Statuses, pods: i32) -> anyhow::Result<()> {
    platform.ready().await?;
    platform.wait("Progressing", "False", ROLLED).await?;
    until(&format!("all services are ready, notification-service with {pods}"), ROLLED, async || {
        let services = platform.get().await?.status.map(|status| status.services).unwrap_or_default();
        let has = |name: &str| services.iter().any(|service| service.name == name && service.ready == pods);
        let whole =
            services.iter().all(|service| service.ready == service.replicas && service.sidecars == service.ready);
        Ok((whole && has("notification-service")).then_some(()))
    })
    .await?;
    until("the watch has seen it, too", ROLLED, async || Ok(statuses.are_all_seen(platform).await?.then_some(()))).await
}

/// A write that changes nothing makes no version, so that no watch shows it; the API server's audit log does.
async fn each_write_made_a_version(namespace: &Namespace, statuses: &Statuses) -> anyhow::Result<()> {
    until("a version for each write", ROLLED, async || {
        let before = statuses.seen().len();
        let written = rights::status_writes(&namespace.env.cluster, OPERATOR, &namespace.name).await?;
        if statuses.seen().len() != before {
            return Ok(None);
        }
        let versions = before - SPECS;
        anyhow::ensure!(written == versions, "the status was written {written} times for {versions} versions of it");
        Ok(Some(()))
    })
    .await
}

/// Fails if a version since `told` says nothing that the one before it did not say, and prints them. Answers how many there are.
fn tell(what: &str, statuses: &Statuses, told: usize) -> anyhow::Result<usize> {
    let seen = statuses.seen();
    println!("{what}: {} versions", seen.len() - told);
    let first = told.max(1);
    for (before, now) in seen[first - 1..].iter().zip(&seen[first..]) {
        let changes = now.changes(before);
        println!("  {}: {}", now.number, changes.join("; "));
        anyhow::ensure!(!changes.is_empty(), "version {} says what {} said: {}", now.number, before.number, now.status);
    }
    Ok(seen.len())
}

/// Pods that serve are enough while more are on the way.
fn stays_ready(statuses: &Statuses, told: usize) -> anyhow::Result<()> {
    for version in statuses.seen().iter().skip(told) {
        for kind in ["Ready", "ServicesReady", "ComponentsReady"] {
            let conditions = version.status["conditions"].as_array().into_iter().flatten();
            let is_true = conditions.filter(|one| one["type"] == kind).all(|one| one["status"] == "True");
            anyhow::ensure!(is_true, "{kind} is not True in version {}: {}", version.number, version.status);
        }
    }
    Ok(())
}

fn at_rest(statuses: &Statuses, told: usize) -> anyhow::Result<usize> {
    let seen = statuses.seen();
    let written: Vec<&Version> = seen.iter().skip(told).collect();
    anyhow::ensure!(written.is_empty(), "written at rest, after {:?}: {written:?}", seen.get(told - 1));
    Ok(seen.len())
}
