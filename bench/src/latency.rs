//! How soon the operator answers a change, one after the other, each in another namespace.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::json;
use todo_e2e::faults::Ground;

const DEPLOYMENT: &str = "backend-service";
/// Pods of the backend unless a spec says otherwise.
pub(crate) const USUAL: i32 = 2;
/// As many as a spec wants that is changed.
pub(crate) const OTHER: i32 = 3;
const LIMIT: Duration = Duration::from_secs(30);

/// Times, the shortest first.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// All of both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        Self::of(self.0)
    }

    /// So many of a hundred were not slower.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((self.0.len() * percent / 100).min(last)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, high, count) = (self.percentile(50), self.percentile(99), self.0.len());
        write!(f, "p50 {median:.0?}, p99 {high:.0?} of {count}")
    }
}

/// Somebody scales a Deployment; the operator takes it back.
pub(crate) async fn of_drift(ground: &Ground, namespaces: &[String]) -> anyhow::Result<Latencies> {
    let mut all = Vec::new();
    for namespace in namespaces {
        let deployments = deployments(ground, namespace);
        let patch = Patch::Merge(json!({"spec": {"replicas": OTHER}}));
        let drifted = deployments.patch(DEPLOYMENT, &PatchParams::default(), &patch).await?;
        let begun = Instant::now();
        has(&deployments, USUAL, &drifted.resource_version().unwrap_or_default()).await?;
        all.push(begun.elapsed());
    }
    Ok(Latencies::of(all))
}

/// A spec wants so many pods of a service, other than before.
pub(crate) async fn of_changes(ground: &Ground, namespaces: &[String], replicas: i32) -> anyhow::Result<Latencies> {
    let mut all = Vec::new();
    for namespace in namespaces {
        let deployments = deployments(ground, namespace);
        let before = deployments.get(DEPLOYMENT).await?;
        let patch = Patch::Merge(json!({"spec": {"services": {"backend": {"replicas": replicas}}}}));
        Ground::platforms(&ground.client, namespace).patch("todo", &PatchParams::default(), &patch).await?;
        let begun = Instant::now();
        has(&deployments, replicas, &before.resource_version().unwrap_or_default()).await?;
        all.push(begun.elapsed());
    }
    Ok(Latencies::of(all))
}

fn deployments(ground: &Ground, namespace: &str) -> Api<Deployment> {
    Api::namespaced(ground.client.clone(), namespace)
}

/// Waits until the Deployment has so many replicas, in a version after this one.
async fn has(api: &Api<Deployment>, replicas: i32, version: &str) -> anyhow::Result<()> {
    let params = WatchParams::default().fields(&format!("metadata.name={DEPLOYMENT}"));
    let wait = async {
        let mut events = std::pin::pin!(api.watch(&params, version).await?);
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Modified(deployment) = event
                && deployment.spec.and_then(|spec| spec.replicas) == Some(replicas)
            {
                return anyhow::Ok(());
            }
        }
        anyhow::bail!("the watch ended")
    };
    tokio::time::timeout(LIMIT, wait).await.with_context(|| format!("not {replicas} replicas within {LIMIT:?}"))?
}
