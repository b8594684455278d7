//! Somebody else's Kafka and PostgreSQL: the shared platform's.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    ByteString,
    api::core::v1::{Pod, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::api::{ListParams, PostParams};
use serde_json::json;
use todo_crds::dapr::Component;
use todo_e2e::harness::{Namespace, Platform, wait};

use crate::shared;

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
            let spec = json!({
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
            });
            let platform = Platform::apply(&namespace, "todo", spec).await?;
            let missing = platform.wait("SecretsReady", "False", Duration::from_secs(30)).await?;
            assert_eq!(missing.reason, "SecretMissing", "{}", missing.message);
            assert!(missing.message.contains("broker"), "{}", missing.message);

            namespace.api().create(&PostParams::default(), &secret("broker", "user", &username)).await?;
            let key_missing = async || {
                let condition = platform.condition("SecretsReady").await?;
                Ok(condition.filter(|one| one.message.contains("pass") && one.status == "False").map(drop))
            };
            todo_e2e::harness::until("the missing key is named", Duration::from_secs(30), key_missing).await?;
            nothing_of_it_started(&namespace).await?;

            let mut whole = secret("broker", "user", &username);
            whole.data.as_mut().unwrap().insert("pass".to_owned(), ByteString(password.into_bytes()));
            let patch = kube::api::Patch::Merge(json!({"data": whole.data}));
            namespace.api::<Secret>().patch("broker", &kube::api::PatchParams::default(), &patch).await?;
            platform.ready().await?;
            no_container_restarted(&namespace).await
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
            let refused = todo_e2e::harness::until(what, Platform::READY, async || {
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
