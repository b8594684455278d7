//! What users write and what Secrets hold is in no log, metric, event or status, whatever goes wrong.

mod trouble;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};
use todo_e2e::harness::{ChannelSink, Forward, Namespace, Platform, forward::ready_pods, http::Http};

use crate::channels;

const SERVICES: [&str; 4] = ["backend-service", "notification-service", "recurring-task-service", "frontend-service"];
/// Values of Secrets that are names and no secrets.
const NAMES: [&str; 4] = ["username", "database", "public-key", "user"];
/// What is shorter may be in a text by chance.
const SHORTEST: usize = 8;

/// What users write, as a needle.
const WRITTEN: &str = "what a user wrote";

/// What is looked for, by what it is.
type Needles = BTreeMap<String, String>;
/// Texts, by where they are.
type Texts = BTreeMap<String, String>;

#[tokio::test]
async fn no_log_metric_event_or_status_has_what_users_write_or_secrets_hold() {
    Box::pin(Namespace::with("logs", async |namespace| {
        let sink = ChannelSink::start(&namespace.env.cluster).await?;
        let platform = Platform::apply(&namespace, "todo", channels::spec(&sink)).await?;
        platform.ready().await?;
        let (page, mark) = (platform.page().await?, uuid::Uuid::new_v4().simple().to_string());

        trouble::everything_is_used(&page, &sink, &mark).await?;
        trouble::wrong_requests(&page, &mark).await?;
        trouble::events_that_cannot_be_handled(&platform, &mark).await?;
        trouble::a_service_dies_over_a_request(&platform, &page, &mark).await?;

        let texts = texts(&platform).await?;
        for (place, words) in [
            ("/postgres ", "violates check constraint"),
            ("/notification ", "an event cannot be read and goes to the dead-letter topic"),
            ("/notification ", "the database refused a statement"),
            ("/recurring-task ", "an event could not be handled and is kept in dead_letters"),
            ("/frontend ", "the sidecar could not call the service"),
        ] {
            let said = texts.iter().any(|(of, text)| of.contains(place) && text.contains(words));
            assert!(said, "nothing went wrong as it was meant to: no {place} says that {words}");
        }
        let mut needles = secrets(&namespace).await?;
        needles.insert(WRITTEN.to_owned(), mark);
        needles.insert("a webhook's secret".to_owned(), sink.about("secret").as_str().unwrap().to_owned());
        let found = findings(&texts, &needles);
        assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
        Ok(())
    }))
    .await;
}

/// Lines that have something of it, with dots in its place.
fn findings(texts: &Texts, needles: &Needles) -> Vec<String> {
    let mut found = Vec::new();
    for (place, text) in texts {
        for line in text.lines() {
            for (what, needle) in needles.iter().filter(|(_, needle)| line.contains(*needle)) {
                let line: String = line.replace(needle, "…").chars().take(600).collect();
                found.push(format!("{place}: {what}: {line}"));
            }
        }
    }
    found
}

/// Whatever people read who do not read the database.
async fn texts(platform: &Platform) -> anyhow::Result<Texts> {
    let (client, namespace) = (&platform.namespace.env.client, &platform.namespace);
    let operators: Api<Pod> = Api::namespaced(client.clone(), "todo-operator");
    let mut texts = logs(&operators).await?;
    texts.extend(logs(&namespace.api()).await?);
    for pod in operators.list(&ListParams::default()).await? {
        let forward = Forward::to_pod(client, "todo-operator", &pod.name_any(), 8080).await?;
        let metrics = Http::new(forward)?.get("/metrics").await?.expect(200)?.text;
        texts.insert(format!("metrics of {}", pod.name_any()), metrics);
    }
    for app in SERVICES {
        for pod in ready_pods(client, &namespace.name, app).await? {
            for port in [8081, 9090] {
                let http = Http::new(Forward::to_pod(client, &namespace.name, &pod, port).await?)?;
                texts.insert(format!("metrics of {pod}:{port}"), http.get("/metrics").await?.expect(200)?.text);
            }
        }
    }
    for event in namespace.api::<Event>().list(&ListParams::default()).await? {
        texts.insert(format!("Event {}", event.name_any()), serde_json::to_string(&event)?);
    }
    texts.insert("status".to_owned(), serde_json::to_string(&platform.get().await?.status)?);
    Ok(texts)
}

/// Of every container, of the life before, too.
async fn logs(pods: &Api<Pod>) -> anyhow::Result<Texts> {
    let mut texts = Texts::new();
    for pod in pods.list(&ListParams::default()).await? {
        let name = pod.name_any();
        let status = pod.status.unwrap_or_default();
        for container in [status.init_container_statuses, status.container_statuses].into_iter().flatten().flatten() {
            for previous in [false, true].into_iter().take(if container.restart_count > 0 { 2 } else { 1 }) {
                let container = container.name.clone();
                let wanted = LogParams { container: Some(container.clone()), previous, ..LogParams::default() };
                texts.insert(format!("{name}/{container} {previous}"), pods.logs(&name, &wanted).await?);
            }
        }
    }
    Ok(texts)
}

/// The values of all Secrets of the namespace.
async fn secrets(namespace: &Namespace) -> anyhow::Result<Needles> {
    let mut needles = Needles::new();
    for secret in namespace.api::<Secret>().list(&ListParams::default()).await? {
        let name = secret.name_any();
        for (key, value) in secret.data.unwrap_or_default() {
            let Ok(text) = String::from_utf8(value.0) else { continue };
            if text.len() >= SHORTEST && !NAMES.contains(&key.as_str()) {
                needles.insert(format!("Secret {name}, {key}"), text);
            }
        }
    }
    Ok(needles)
}
