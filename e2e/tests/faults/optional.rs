//! The way through a Gateway and what Prometheus reads, which not every cluster knows. Their kinds are the real ones.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use todo_e2e::{
    faults::{Ground, SETTLED},
    harness::until,
    proxy::{Ledger, Proxy},
};

use crate::support::{Granted, beside_others, change_spec, condition, copy_as_stranger, watch_for};

/// How long it is watched at rest: longer than passes and questions about Secrets are apart.
const REST: Duration = Duration::from_secs(15);
/// Plurals of the kinds with their groups, as rights have them.
const RESOURCES: [&str; 3] = [
    "httproutes.gateway.networking.k8s.io",
    "podmonitors.monitoring.coreos.com",
    "prometheusrules.monitoring.coreos.com",
];

/// Each kind with the name of the platform's object.
fn asked() -> [(ApiResource, &'static str); 3] {
    let of = |group, kind| ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    [
        (of("gateway.networking.k8s.io", "HTTPRoute"), "frontend-service"),
        (of("monitoring.coreos.com", "PodMonitor"), "todo-platform"),
        (of("monitoring.coreos.com", "PrometheusRule"), "todo-platform"),
    ]
}

fn everything() -> Value {
    json!({
        "ingress": {"host": "todo.example.com", "gateway": {"name": "main", "sectionName": "https"}},
        "monitoring": {
            "serviceMonitor": {"interval": "30s", "labels": {"release": "prometheus"}},
            "prometheusRule": {"labels": {"release": "prometheus"}},
        },
    })
}

/// Requests of the operator that write these kinds, by what they ask for.
fn writes(ledger: &Ledger, namespace: &str) -> BTreeMap<String, usize> {
    let (ledger, mut writes) = (ledger.in_namespace(namespace), BTreeMap::new());
    let plurals = asked().map(|(resource, _)| resource.plural);
    for entry in ledger.work().filter(|entry| plurals.contains(&entry.target.resource)) {
        *writes.entry(entry.target.to_string()).or_default() += 1;
    }
    writes
}

fn once(verb: &str) -> BTreeMap<String, usize> {
    asked().into_iter().map(|(resource, name)| (format!("{verb} {}/{name}", resource.plural), 1)).collect()
}

/// Waits until the operator has written each of these once since a moment, and then no more.
async fn written_once(proxy: &Proxy, namespace: &str, begun: Instant, verb: &str) -> anyhow::Result<()> {
    let writes = || writes(&proxy.ledger().since(begun), namespace);
    until(&format!("the operator does {verb} each"), SETTLED, || async {
        anyhow::ensure!(writes().len() == once(verb).len(), "{:?}", writes());
        Ok(Some(()))
    })
    .await?;
    watch_for(REST, proxy).await;
    anyhow::ensure!(writes() == once(verb), "{:?}", writes());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_monitors_and_alerts_are_written_once_put_right_and_removed_when_nobody_asks_for_them()
-> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, other) = (&ground.client, ground.walk(0).await?, ground.walk(1).await?);
    let namespace = walk.namespace.as_str();
    let granted = Granted::install(&ground).await?;
    let (proxy, operator) = granted.operator(&ground).await?;
    Ground::make_platform(client, namespace).await?;
    let begun = Instant::now();
    change_spec(client, namespace, &everything()).await?;
    for (kinds, reason) in [("gateway-api", "GatewayApiMissing"), ("prometheus-operator", "PrometheusOperatorMissing")]
    {
        until(&format!("the platform says {reason}"), SETTLED, || async {
            let degraded = condition(client, namespace, "Degraded").await?;
            Ok(degraded.filter(|one| one.status == "True" && one.reason == reason))
        })
        .await?;
        ground.plane.install_kinds(kinds).await?;
    }
    until("nothing is missed any more", SETTLED, || async {
        let degraded = condition(client, namespace, "Degraded").await?;
        Ok(degraded.filter(|one| one.status == "False"))
    })
    .await?;
    // What the API server had dropped, or changed by a default, would be written again.
    written_once(&proxy, namespace, begun, "patch").await?;

    let theirs =
        [json!({"hostnames": ["elsewhere.example.com"]}), json!({"podMetricsEndpoints": []}), json!({"groups": []})];
    for ((resource, name), theirs) in asked().into_iter().zip(theirs) {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let ours = api.get(name).await?.data["spec"].clone();
        api.patch(name, &PatchParams::default(), &Patch::Merge(json!({"spec": theirs}))).await?;
        until(&format!("{} is put right", resource.kind), SETTLED, || async {
            let now = api.get(name).await?.data["spec"].clone();
            anyhow::ensure!(now == ours, "{now} instead of {ours}");
            Ok(Some(()))
        })
        .await?;
    }

    // Those of somebody else are looked at, and left as they are.
    for (resource, name) in asked() {
        copy_as_stranger(client, &resource, name, namespace, &other.namespace).await?;
    }
    Ground::make_platform(client, &other.namespace).await?;
    change_spec(client, &other.namespace, &everything()).await?;
    until("all of them are looked at", SETTLED, || async {
        let ledger = proxy.ledger().in_namespace(&other.namespace);
        let looked =
            |plural: &str| ledger.all().any(|entry| entry.target.verb == "get" && entry.target.resource == plural);
        Ok(asked().iter().all(|(resource, _)| looked(&resource.plural)).then_some(()))
    })
    .await?;
    for (resource, name) in asked() {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &other.namespace, &resource);
        let metadata = api.get(name).await?.metadata;
        anyhow::ensure!(metadata.labels.is_none() && metadata.generation == Some(1), "{metadata:?}");
    }

    let begun = Instant::now();
    change_spec(client, namespace, &json!({"ingress": null, "monitoring": null})).await?;
    written_once(&proxy, namespace, begun, "delete").await?;
    for (resource, name) in asked() {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        anyhow::ensure!(api.get_opt(name).await?.is_none(), "{} is still there", resource.kind);
    }
    anyhow::ensure!(operator.restarts() == 0, "it was started anew:\n{}", operator.last_words(10));
    granted.check(&ground, &RESOURCES)
}
