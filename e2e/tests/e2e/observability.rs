//! What can be seen of a running platform.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};
use serde_json::{Value, json};
use todo_e2e::{
    harness::{Forward, Metrics, Platform, forward::ready_pods, http::Http, until},
    monitoring::Query,
};

use crate::shared;

const SOON: Duration = Duration::from_secs(20);
const SERVICES: [&str; 4] = ["backend-service", "notification-service", "recurring-task-service", "frontend-service"];

#[tokio::test]
async fn the_operator_and_every_service_have_metrics_and_say_that_they_live() {
    shared::with("metrics", async |platform, _| {
        for app in SERVICES {
            let management = platform.http(app, 8081).await?;
            management.get("/livez").await?.expect(200)?;
            let metrics = management.get("/metrics").await?.expect(200)?;
            assert!(metrics.text.contains("http_requests_total"), "{app}: {}", metrics.text);
            let sidecar = platform.http(app, 9090).await?.get("/metrics").await?.expect(200)?;
            assert!(sidecar.text.contains("dapr_runtime_component_init_total") || app == "frontend-service", "{app}");
        }
        operator(&platform).await?.get("/metrics").await?.expect(200)?;
        Ok(())
    })
    .await;
}

/// What each service does not work without, and the components that it works with.
const NEEDS: [(&str, &[&str], &[&str]); 4] = [
    (
        "backend-service",
        &["database", "sidecar"],
        &["kafka-pubsub", "kubernetes-secrets", "reminder-cron", "statestore"],
    ),
    ("notification-service", &["database", "sidecar"], &["kafka-pubsub", "kubernetes-secrets"]),
    ("recurring-task-service", &["database", "sidecar"], &["kafka-pubsub", "kubernetes-secrets"]),
    ("frontend-service", &["sidecar"], &[]),
];

#[tokio::test]
async fn readiness_names_every_dependency_and_every_component_of_each_service() {
    shared::with("readiness", async |platform, _| {
        for (app, checks, components) in NEEDS {
            let management = platform.http(app, 8081).await?;
            let good = |names: &[&str]| {
                let pairs = names.iter().map(|name| ((*name).to_owned(), json!({"ok": true, "message": "ok"})));
                Value::Object(pairs.collect())
            };
            let mut expected = json!({"ready": true, "checks": good(checks), "components": good(components)});
            // Only the backend has a relay that knows.
            if app == "backend-service" {
                expected["broker"] = json!({"ok": true, "message": "ok"});
            }
            // One answer may be late; a node forgives that, too.
            until(&format!("{app} shows {expected}"), SOON, async || {
                let mut shown = management.get("/readyz").await?.expect(200)?.json();
                let broker = shown.get_mut("broker").and_then(Value::as_object_mut);
                let since = broker.and_then(|broker| broker.remove("since"));
                anyhow::ensure!(since.is_some() == (app == "backend-service"), "{shown}");
                anyhow::ensure!(shown == expected, "{shown}");
                Ok(Some(()))
            })
            .await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_canary_goes_all_the_way_and_nobody_sees_its_tasks() {
    shared::with("canary", async |platform, _| {
        let management = platform.http("backend-service", 8081).await?;
        let path: Value = until("the data path is verified", SOON, async || {
            let path = management.get("/data-path").await?.expect(200)?.json();
            anyhow::ensure!(path["verified"] == true, "{path}");
            Ok(Some(path))
        })
        .await?;
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

#[tokio::test]
async fn every_series_that_an_alert_or_a_dashboard_reads_is_there_before_anything_has_gone_wrong() {
    shared::with("queries", async |platform, user| {
        // Due at once, for the histogram of lateness; nothing else needs more than a platform that runs.
        let due = jiff::Timestamp::now().to_string();
        let task = json!({"user_id": user, "title": "water the plants", "due_at": due, "time_zone": "Etc/UTC"});
        shared::add_task(&platform.page().await?, task).await?;
        let queries = Query::all()?;
        let shown = until("every series", Duration::from_mins(1), async || {
            let shown = metrics(&platform).await?;
            for query in &queries {
                for series in query.series() {
                    anyhow::ensure!(shown.lines(&series).next().is_some(), "{}: {series}", query.name);
                }
            }
            Ok(Some(shown))
        })
        .await?;
        for (name, series, limit) in queries
            .iter()
            .flat_map(|query| query.limits().into_iter().map(|(series, limit)| (&query.name, series, limit)))
        {
            let bounds = shown.lines(&series).filter_map(upper_bound);
            let highest = bounds.fold(0.0, f64::max);
            assert!(highest > limit, "{name} is never raised: the highest bucket of {series} ends at {highest}");
        }
        Ok(())
    })
    .await;
}

/// The management port of the operator.
async fn operator(platform: &Platform) -> anyhow::Result<Http> {
    let client = &platform.namespace.env.client;
    let select = "app.kubernetes.io/name=todo-operator";
    let pods: Api<Pod> = Api::namespaced(client.clone(), "todo-operator");
    let pod = pods.list(&kube::api::ListParams::default().labels(select)).await?.items.remove(0);
    Http::new(Forward::to_pod(client, "todo-operator", &pod.metadata.name.unwrap_or_default(), 8080).await?)
}

/// What the operator and all services show.
async fn metrics(platform: &Platform) -> anyhow::Result<Metrics> {
    let mut all = Metrics(operator(platform).await?.get("/metrics").await?.expect(200)?.text);
    for app in SERVICES {
        all.0.push_str(&Metrics::of(platform, app).await?.0);
    }
    Ok(all)
}

/// Of a bucket; none for the last, which has no end.
fn upper_bound(line: &str) -> Option<f64> {
    line.split_once("le=\"")?.1.split_once('"')?.0.parse().ok().filter(|bound: &f64| bound.is_finite())
}
