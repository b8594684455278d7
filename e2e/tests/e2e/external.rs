//! Somebody else's Kafka and PostgreSQL: the shared platform's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::{
    ByteString,
    api::core::v1::{Pod, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use todo_crds::dapr::Component;
use todo_e2e::harness::{Namespace, Platform, until, wait};

use crate::shared;

/// A sidecar tries for half a minute before it gives up, and the kubelet starts it thrice.
const REFUSED: Duration = Duration::from_mins(3);
const RECOVERED: Duration = Duration::from_mins(2);

fn secret(name: &str, key: &str, value: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([(key.to_owned(), ByteString(value.as_bytes().to_vec()))])),
        ..Secret::default()
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_with_its_key_and_the_platform_starts_when_it_comes() {
    shared::with("external", async |shared, _| {
        let username = shared.secret("kafka-username", "username").await?;
        let password = shared.secret("kafka-password", "password").await?;
        let broker = format!("kafka.{}.svc:9092", shared.namespace.name);
        Namespace::with("external", async |namespace| {
            let spec = |broker: &str| {
                json!({
                    "kafka": {
                        "external": {
                            "brokers": [broker],
                            "auth": {"scram": {
                                "mechanism": "SCRAM-SHA-256",
                                "username": {"secretKeyRef": {"name": "broker", "key": "user"}},
                                "password": {"secretKeyRef": {"name": "broker", "key": "pass"}},
                            }},
                        },
                        "consumerGroup": "somebody-else",
                    },
                    "services": {"backend": {"replicas": 1}},
                })
            };
            let platform = Platform::apply(&namespace, "todo", spec(&broker)).await?;
            let missing = platform.wait("SecretsReady", "False", Duration::from_secs(30)).await?;
            assert_eq!(missing.reason, "SecretMissing", "{}", missing.message);
            assert!(missing.message.contains("broker"), "{}", missing.message);

            namespace.api().create(&PostParams::default(), &secret("broker", "user", &username)).await?;
            let key_missing = async || {
                let condition = platform.condition("SecretsReady").await?;
                Ok(condition.filter(|one| one.message.contains("pass") && one.status == "False").map(drop))
            };
            until("the missing key is named", Duration::from_secs(30), key_missing).await?;
            nothing_of_it_started(&namespace).await?;

            let mut whole = secret("broker", "user", &username);
            whole.data.as_mut().unwrap().insert("pass".to_owned(), ByteString(password.into_bytes()));
            rotate(&namespace, &json!({"data": whole.data})).await?;
            platform.ready().await?;
            no_container_restarted(&namespace).await?;
            a_wrong_password_is_told_and_costs_nothing(&platform, &whole).await?;
            let nobody = format!("kafka.{}.svc:9", shared.namespace.name);
            a_wrong_component_is_told_and_costs_nothing(&platform, &spec(&nobody), &spec(&broker)).await
        })
        .await;
        Ok(())
    })
    .await;
}

/// Nothing that would only crash: no component and no pod that needs the Secret.
async fn nothing_of_it_started(namespace: &Namespace) -> anyhow::Result<()> {
    wait::throughout("nothing starts without its Secret", Duration::from_secs(10), async || {
        let components = namespace.api::<Component>().list(&ListParams::default()).await?;
        let pubsub = components.iter().any(|one| one.metadata.name.as_deref() == Some("kafka-pubsub"));
        let pods = namespace.api::<Pod>().list(&ListParams::default().labels("app=backend-service")).await?;
        Ok(!pubsub && pods.items.is_empty())
    })
    .await
}

async fn rotate(namespace: &Namespace, change: &Value) -> anyhow::Result<()> {
    let patch = Patch::Merge(change);
    namespace.api::<Secret>().patch("broker", &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Pods with the wrong password cannot start, and those with the right one serve on until it is put right.
async fn a_wrong_password_is_told_and_costs_nothing(platform: &Platform, right: &Secret) -> anyhow::Result<()> {
    let namespace = &platform.namespace;
    rotate(namespace, &json!({"stringData": {"pass": "not-the-password"}})).await?;
    let degraded = platform.wait("Degraded", "True", REFUSED).await?;
    assert_eq!(degraded.reason, "RolloutStuck", "{}", degraded.message);
    let of_the_broker = async || {
        let condition = platform.condition("Degraded").await?;
        Ok(condition.filter(|one| one.message.contains("kafka-pubsub")))
    };
    let degraded = until("the component is named", REFUSED, of_the_broker).await?;
    assert!(!degraded.message.contains("not-the-password"), "{}", degraded.message);
    let page = platform.page().await?;
    shared::complete_a_daily_task(&page, "ada").await?;

    rotate(namespace, &json!({"data": right.data})).await?;
    platform.wait("Degraded", "False", RECOVERED).await?;
    platform.wait("Ready", "True", RECOVERED).await?;
    let page = platform.page().await?;
    until("the next task is there", RECOVERED, async || {
        let list = shared::tasks(&page, "ada").await?;
        Ok((list.iter().filter(|task| task["status"] == "open").count() == 1 && list.len() == 2).then_some(()))
    })
    .await
}

/// Pods with it cannot start, and those from before serve on, the same ones until it is put right and after.
async fn a_wrong_component_is_told_and_costs_nothing(
    platform: &Platform,
    wrong: &Value,
    right: &Value,
) -> anyhow::Result<()> {
    let pods = async || {
        let list = platform.namespace.api::<Pod>().list(&ListParams::default()).await?;
        let staying = list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        anyhow::Ok(staying.filter_map(|pod| pod.metadata.uid).collect::<BTreeSet<_>>())
    };
    platform.wait("Progressing", "False", RECOVERED).await?;
    let before = pods().await?;
    Platform::apply(&platform.namespace, "todo", wrong.clone()).await?;
    until("the component is named", REFUSED, async || {
        let degraded = platform.condition("Degraded").await?.filter(|one| one.status == "True");
        let Some(degraded) = degraded else { return Ok(None) };
        let is_told = degraded.reason == "RolloutStuck" && degraded.message.contains("kafka-pubsub");
        anyhow::ensure!(is_told, "{}: {}", degraded.reason, degraded.message);
        Ok(Some(()))
    })
    .await?;
    let during = pods().await?;
    assert!(during.is_superset(&before), "pods that served are gone: {before:?}, {during:?}");
    let page = platform.page().await?;
    shared::complete_a_daily_task(&page, "grace").await?;
    until("the next task is there, by the pods from before", RECOVERED, async || {
        Ok((shared::tasks(&page, "grace").await?.len() == 2).then_some(()))
    })
    .await?;

    Platform::apply(&platform.namespace, "todo", right.clone()).await?;
    platform.wait("Degraded", "False", RECOVERED).await?;
    platform.wait("Ready", "True", RECOVERED).await?;
    until("only the pods from before are there", RECOVERED, async || Ok((pods().await? == before).then_some(()))).await
}

async fn no_container_restarted(namespace: &Namespace) -> anyhow::Result<()> {
    for pod in namespace.api::<Pod>().list(&ListParams::default()).await? {
        for container in pod.status.and_then(|status| status.container_statuses).unwrap_or_default() {
            assert_eq!(container.restart_count, 0, "{}", container.name);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_belongs_to_another_platform_is_refused_with_its_name() {
    shared::with("in-use", async |shared, _| {
        let owner = &shared.namespace.name;
        let url = shared.secret("postgres-connection", "connection-string").await?;
        let url = url.replace("@postgres:", &format!("@postgres.{owner}.svc:"));
        assert!(url.contains(owner), "the host is not where it was expected");
        Namespace::with("in-use", async |namespace| {
            namespace.api().create(&PostParams::default(), &secret("taken", "url", &url)).await?;
            let reference = json!({"secretKeyRef": {"name": "taken", "key": "url"}});
            let spec = json!({"postgres": {"external": {"connectionString": reference}}});
            let platform = Platform::apply(&namespace, "todo", spec).await?;
            let what = "the other platform is named";
            let refused = until(what, Platform::READY, async || {
                let condition = platform.condition("InfrastructureReady").await?;
                Ok(condition.filter(|one| one.reason == "DatabaseInUse"))
            });
            let refused = refused.await?;
            assert!(refused.message.contains(&format!("{owner}/todo")), "{}", refused.message);
            assert_eq!(platform.condition("Ready").await?.map(|one| one.status).as_deref(), Some("False"));
            Ok(())
        })
        .await;
        Ok(())
    })
    .await;
}
