//! What goes on in a namespace, for a person who wants to know why a scenario failed.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};
use todo_crds::platform::TodoPlatform;

const LOG_LINES: i64 = 25;

/// Platforms with their conditions, pods with their states and last lines, and events.
pub async fn namespace(client: &Client, name: &str) -> String {
    let mut text = format!("\n===== namespace {name} =====\n");
    // Writing to a String cannot fail.
    let _ = platforms(client, name, &mut text).await.map_err(|error| writeln!(text, "no platforms: {error}"));
    let _ = pods(client, name, &mut text).await.map_err(|error| writeln!(text, "no pods: {error}"));
    let _ = events(client, name, &mut text).await.map_err(|error| writeln!(text, "no events: {error}"));
    text
}

async fn platforms(client: &Client, namespace: &str, text: &mut String) -> kube::Result<()> {
    let api: Api<TodoPlatform> = Api::namespaced(client.clone(), namespace);
    for platform in api.list(&ListParams::default()).await? {
        let _ = writeln!(text, "--- platform {}", platform.name_any());
        for condition in platform.status.map(|status| status.conditions).unwrap_or_default() {
            let (kind, status, reason) = (condition.type_, condition.status, condition.reason);
            let _ = writeln!(text, "{kind}={status} {reason}: {}", condition.message);
        }
    }
    Ok(())
}

async fn pods(client: &Client, namespace: &str, text: &mut String) -> kube::Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in api.list(&ListParams::default()).await? {
        let name = pod.name_any();
        let status = pod.status.unwrap_or_default();
        let _ = writeln!(text, "--- pod {name}: {}", status.phase.unwrap_or_default());
        for container in
            status.init_container_statuses.into_iter().chain([status.container_statuses.unwrap_or_default()]).flatten()
        {
            let state = serde_json::to_string(&(&container.state, &container.last_state)).unwrap_or_default();
            let _ = writeln!(
                text,
                "{}: ready={} restarts={} {state}",
                container.name, container.ready, container.restart_count
            );
            // Why a container was started again is said in the life before.
            if container.restart_count > 0 {
                let _ = writeln!(text, "  last life before:");
                last_lines(&api, &name, &container.name, true, text).await;
                let _ = writeln!(text, "  this life:");
            }
            last_lines(&api, &name, &container.name, false, text).await;
        }
    }
    Ok(())
}

async fn last_lines(api: &Api<Pod>, pod: &str, container: &str, previous: bool, text: &mut String) {
    let logs = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(LOG_LINES),
        previous,
        ..LogParams::default()
    };
    for line in api.logs(pod, &logs).await.unwrap_or_default().lines() {
        let _ = writeln!(text, "    {}", line.chars().take(300).collect::<String>());
    }
}

async fn events(client: &Client, namespace: &str, text: &mut String) -> kube::Result<()> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let _ = writeln!(text, "--- events");
    for event in api.list(&ListParams::default()).await? {
        let object = event.involved_object;
        let (kind, name) = (object.kind.unwrap_or_default(), object.name.unwrap_or_default());
        let (reason, message) = (event.reason.unwrap_or_default(), event.message.unwrap_or_default());
        let _ = writeln!(text, "{kind}/{name} {reason}: {message}");
    }
    Ok(())
}
