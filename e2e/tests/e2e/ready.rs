//! From an empty spec to a system that works.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::ListParams};
use serde_json::Value;
use todo_e2e::harness::{Forward, Platform};

use crate::shared;

const APPS: [(&str, &[&str]); 4] = [
    ("backend-service", &["kafka-pubsub", "kubernetes-secrets", "reminder-cron", "statestore"]),
    ("notification-service", &["kafka-pubsub", "kubernetes-secrets"]),
    ("recurring-task-service", &["kafka-pubsub", "kubernetes-secrets"]),
    ("frontend-service", &[]),
];

#[tokio::test]
async fn an_empty_spec_becomes_ready_with_every_condition_saying_so() {
    shared::with("ready", async |platform, _| {
        let ready = platform.ready().await?;
        assert!(ready.message.contains("AUTHENTICATION IS OFF"), "it says so loudly: {}", ready.message);
        for kind in [
            "SpecValid",
            "SecretsReady",
            "DaprReady",
            "InfrastructureReady",
            "ComponentsReady",
            "ServicesReady",
            "DataPathVerified",
        ] {
            platform.wait(kind, "True", Platform::READY).await?;
        }
        let status = platform.get().await?.status.unwrap();
        assert_eq!(status.services_ready.as_deref(), Some("4/4"));
        assert_eq!(status.components.len(), 4);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn every_pod_of_a_service_has_its_sidecar_and_never_crashed() {
    shared::with("pods", async |platform, _| {
        let pods = platform.namespace.api::<Pod>().list(&ListParams::default()).await?;
        for (app, _) in APPS {
            let of_app: Vec<&Pod> =
                pods.iter().filter(|pod| pod.labels().get("app").is_some_and(|a| a == app)).collect();
            assert_eq!(of_app.len(), if app == "backend-service" { 2 } else { 1 }, "{app}");
            for pod in of_app {
                let containers = pod.status.as_ref().unwrap().container_statuses.clone().unwrap_or_default();
                assert_eq!(containers.len(), 2, "{}", pod.name_any());
                for container in containers {
                    assert!(container.ready, "{} of {}", container.name, pod.name_any());
                    assert_eq!(container.restart_count, 0, "{} of {}", container.name, pod.name_any());
                }
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn every_sidecar_has_loaded_exactly_the_components_in_its_scope() {
    shared::with("components", async |platform, _| {
        let client = &platform.namespace.env.client;
        for (app, expected) in APPS {
            let forward = Forward::to_app(client, &platform.namespace.name, app, 3501).await?;
            let metadata: Value = reqwest::get(forward.url("/v1.0/metadata")).await?.json().await?;
            let components = metadata["components"].as_array().cloned().unwrap_or_default();
            let loaded: BTreeSet<&str> = components.iter().filter_map(|one| one["name"].as_str()).collect();
            assert_eq!(loaded, expected.iter().copied().collect(), "{app}");
        }
        Ok(())
    })
    .await;
}
