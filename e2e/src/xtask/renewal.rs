//! Pods of another content than the images of this checkout have now. Their tag stays the same, so nobody else replaces them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::core::ObjectList;
use todo_e2e::{
    cluster::{Cluster, Docker},
    images::REGISTRY,
};

/// How long the pods of an app may take to be replaced.
const LIMIT: Duration = Duration::from_mins(5);

/// By the names of images, the digests that a node has for them.
type Digests = BTreeMap<String, String>;

/// Replaces what does not run what its node has. Does nothing where that is so already.
pub(super) async fn ensure(cluster: &Cluster, namespace: &str) -> anyhow::Result<()> {
    let Some(docker) = cluster.docker().filter(|_| cluster.takes_images()) else { return Ok(()) };
    let kubectl = || cluster.kubectl().args(["-n", namespace]);
    let list = kubectl().args(["get", "pods", "-o", "json"]).run().await?;
    let pods = serde_json::from_str::<ObjectList<Pod>>(&list).context("reading the list of pods")?.items;
    let names: BTreeSet<&str> = pods.iter().filter_map(node).collect();
    let mut nodes = BTreeMap::new();
    for name in names {
        nodes.insert(name, on_node(docker, name).await?);
    }
    for app in outdated(&pods, &nodes) {
        let deployment = format!("deployment/{app}");
        kubectl().args(["rollout", "restart", &deployment]).run().await?;
        let status = kubectl().args(["rollout", "status", &deployment, &format!("--timeout={}s", LIMIT.as_secs())]);
        status.limit(LIMIT + Duration::from_secs(10)).run().await?;
    }
    Ok(())
}

async fn on_node(docker: &Docker, node: &str) -> anyhow::Result<Digests> {
    let list = docker.command().args(["exec", node, "ctr", "--namespace", "k8s.io", "images", "ls"]);
    Ok(digests(&list.run().await?))
}

/// From a table of names, types, digests and more.
fn digests(table: &str) -> Digests {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.nth(1)?.to_owned()))
    };
    table.lines().filter_map(row).collect()
}

/// The apps of which some pod runs something else than its node has under the name of its image.
fn outdated(pods: &[Pod], nodes: &BTreeMap<&str, Digests>) -> BTreeSet<String> {
    let is_outdated = |pod: &&Pod| node(pod).and_then(|node| nodes.get(node)).is_some_and(|node| differs(pod, node));
    let app = |pod: &Pod| pod.metadata.labels.as_ref()?.get("app").cloned();
    pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter(is_outdated).filter_map(app).collect()
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// Whether a container of an image of ours runs, and not what the node has.
fn differs(pod: &Pod, node: &Digests) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let statuses = || pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.filter_map(|container| Some((container, container.image.as_deref()?))).any(|(container, image)| {
        let running = statuses().find(|status| status.name == container.name);
        // As `docker.io/library/import-2026-01-01@sha256:…`, and empty until it runs.
        let runs = running.and_then(|status| status.image_id.rsplit_once('@')).map(|(_, digest)| digest);
        let has = node.get(image).map(String::as_str).filter(|_| image.starts_with(REGISTRY));
        runs.zip(has).is_some_and(|(runs, has)| runs != has)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BACKEND: &str = "ghcr.io/todoplatform/todo-backend:0.1.0";
    const SIDECAR: &str = "ghcr.io/dapr/daprd:1.16.0";

    fn pod(node: &str, backend: &str, sidecar: &str) -> Pod {
        let running = |name: &str, digest: &str| {
            let id =
                if digest.is_empty() { String::new() } else { format!("docker.io/library/import-2026-01-01@{digest}") };
            json!({"name": name, "image": "", "imageID": id, "ready": true, "restartCount": 0})
        };
        serde_json::from_value(json!({
            "metadata": {"name": "backend-1", "labels": {"app": "backend-service"}},
            "spec": {"nodeName": node, "containers": [
                {"name": "daprd", "image": SIDECAR}, {"name": "backend", "image": BACKEND},
            ]},
            "status": {"containerStatuses": [running("backend", backend), running("daprd", sidecar)]},
        }))
        .unwrap()
    }

    #[test]
    fn only_pods_that_run_something_else_than_their_node_has_are_replaced() {
        let table = format!(
            "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
             {BACKEND}   application/vnd.docker.distribution.manifest.v2+json sha256:new 13.8 MiB linux/amd64 -\n\
             {SIDECAR} application/vnd.docker.distribution.manifest.v2+json sha256:d 90.1 MiB linux/amd64 -\n"
        );
        let nodes = BTreeMap::from([("a", digests(&table))]);
        let leaving = |mut pod: Pod| {
            let now = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
            pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
            pod
        };
        for (pod, expected) in [
            (pod("a", "sha256:new", "sha256:d"), false),
            (pod("a", "sha256:old", "sha256:d"), true),
            (pod("a", "", "sha256:d"), false),
            (pod("a", "sha256:new", "sha256:another"), false),
            (pod("another", "sha256:old", "sha256:d"), false),
            (leaving(pod("a", "sha256:old", "sha256:d")), false),
        ] {
            let apps: Vec<_> = outdated(std::slice::from_ref(&pod), &nodes).into_iter().collect();
            assert_eq!(apps == ["backend-service"], expected, "{pod:?}");
        }
    }
}
