//! What can be seen of a running platform.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};
use serde_json::Value;
use todo_e2e::harness::{Forward, forward::ready_pods, http::Http};

use crate::shared;

const SERVICES: [&str; 4] = ["backend-service", "notification-service", "recurring-task-service", "frontend-service"];

#[tokio::test]
async fn the_operator_and_every_service_have_metrics_and_say_that_they_live() {
    shared::with("metrics", async |platform, _| {
        let client = &platform.namespace.env.client;
        for app in SERVICES {
            let management = platform.http(app, 8081).await?;
            management.get("/livez").await?.expect(200)?;
            let ready = management.get("/readyz").await?.expect(200)?;
            assert!(ready.text.contains("sidecar"), "{app} names what it needs: {}", ready.text);
            let metrics = management.get("/metrics").await?.expect(200)?;
            assert!(metrics.text.contains("http_requests_total"), "{app}: {}", metrics.text);
            let sidecar = platform.http(app, 9090).await?.get("/metrics").await?.expect(200)?;
            assert!(sidecar.text.contains("dapr_runtime_component_init_total") || app == "frontend-service", "{app}");
        }
        let select = "app.kubernetes.io/name=todo-operator";
        let pods: Api<Pod> = Api::namespaced(client.clone(), "todo-operator");
        let pod = pods.list(&kube::api::ListParams::default().labels(select)).await?.items.remove(0);
        let name = pod.metadata.name.unwrap_or_default();
        let operator = Http::new(Forward::to_pod(client, "todo-operator", &name, 8080).await?)?;
        let metrics = operator.get("/metrics").await?.expect(200)?.text;
        for metric in ["todo_operator_reconciles_total", "todo_operator_condition"] {
            assert!(metrics.contains(metric), "{metric} is missing in {metrics}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_canary_goes_all_the_way_and_nobody_sees_its_tasks() {
    shared::with("canary", async |platform, _| {
        let management = platform.http("backend-service", 8081).await?;
        let path: Value = management.get("/data-path").await?.expect(200)?.json();
        assert_eq!(path["verified"], true, "{path}");
        assert!(path["latency_ms"].as_f64().is_some(), "{path}");
        let page = platform.page().await?;
        let refused = page.get("/api/tasks?user_id=$canary").await?;
        assert!(refused.status.is_client_error(), "{}", refused.status);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn calls_of_the_dapr_api_are_logged() {
    shared::with("logs", async |platform, user| {
        shared::tasks(&platform.page().await?, &user).await?;
        let client = &platform.namespace.env.client;
        let pods = ready_pods(client, &platform.namespace.name, "frontend-service").await?;
        let logs = LogParams { container: Some("daprd".to_owned()), ..LogParams::default() };
        let log = platform.namespace.api::<Pod>().logs(&pods[0], &logs).await?;
        let called = log.lines().any(|line| line.contains("HTTP API Called") && line.contains("InvokeService"));
        assert!(called, "no call is in the sidecar's log");
        assert!(!log.contains(&user), "user ids are in URLs, which must not be in logs");
        Ok(())
    })
    .await;
}
