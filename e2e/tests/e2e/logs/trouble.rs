//! What is done to a platform before its logs are read: everything once, and everything wrongly.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::{Value, json};
use todo_e2e::harness::{
    ChannelSink, Platform,
    forward::ready_pods,
    freeze,
    http::{Answer, Http},
    until,
};
use tokio::time::timeout;

use crate::shared::add_task;

const LIMIT: Duration = Duration::from_mins(1);

/// A task, a sentence and channels of all kinds, which refuse what comes.
pub(super) async fn everything_is_used(page: &Http, sink: &ChannelSink, mark: &str) -> anyhow::Result<()> {
    let keys = json!({"p256dh": sink.about("p256dh"), "auth": sink.about("auth")});
    for channel in [
        json!({"kind": "web_push", "endpoint": sink.url(&format!("/push/unknown-{mark}")), "keys": keys, "name": mark}),
        json!({"kind": "webhook", "url": sink.url(&format!("/hook/unknown-{mark}")), "secret": sink.about("secret")}),
        json!({"kind": "ntfy", "topic": format!("unknown-{mark}"), "token": format!("tk_{mark}")}),
        json!({"kind": "email", "address": format!("unknown-{mark}@example.org")}),
    ] {
        page.post(&format!("/api/notifications/channels?user_id={mark}"), &channel).await?.expect(201)?;
    }
    let now = jiff::Timestamp::now().to_string();
    let task = json!({"user_id": mark, "title": mark, "notes": mark, "tags": [mark], "due_at": now});
    let task = add_task(page, task).await?;
    for message in [format!("add {mark} tomorrow 9am"), mark.to_owned()] {
        let sentence = json!({"user_id": mark, "conversation_id": mark, "message": message});
        page.post("/api/chat", &sentence).await?.expect(200)?;
    }
    until("every channel has refused", LIMIT, async || {
        let list = page.get(&format!("/api/notifications/deliveries?user_id={mark}")).await?.expect(200)?.json();
        let refused = |one: &&Value| one["last_error"].is_string();
        Ok((list["items"].as_array().into_iter().flatten().filter(refused).count() >= 4).then_some(()))
    })
    .await?;
    let path = format!("/api/tasks/{}?user_id={mark}", task["id"].as_str().unwrap_or_default());
    page.delete(&path).await?.expect(204)?;
    Ok(())
}

/// Each is answered in words that may have all of it, and to its sender alone.
pub(super) async fn wrong_requests(page: &Http, mark: &str) -> anyhow::Result<()> {
    let channels = format!("/api/notifications/channels?user_id={mark}");
    let call = |name: &str, arguments: Value| {
        let params = json!({"name": name, "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": mark, "method": "tools/call", "params": params})
    };
    let told = |what: &str, params: Value| json!({"jsonrpc": "2.0", "method": format!("notifications/{what}"), "params": params});
    let conversation = format!("{mark}/{mark}");
    let wrong = [
        ("/api/tasks", json!({"user_id": mark, "title": {"text": mark}})),
        ("/api/tasks", json!({"user_id": mark, "title": mark, "due_at": mark, "priority": mark})),
        ("/api/tasks", json!({"user_id": mark, "title": mark, "recurrence": {"rrule": format!("FREQ={mark}")}})),
        ("/api/tasks", json!({"user_id": mark, "title": mark, "time_zone": mark, "due_date": "2030-01-01"})),
        ("/api/tasks/import", json!([{"title": mark, "due_at": mark}])),
        ("/api/chat", json!({"user_id": mark, "message": mark, "time_zone": mark, "conversation_id": conversation})),
        (channels.as_str(), json!({"kind": "webhook", "url": format!("http://127.0.0.1:3500/{mark}"), "secret": mark})),
        (channels.as_str(), json!({"kind": "email", "address": mark})),
        (channels.as_str(), json!({"kind": mark})),
        ("/mcp", call(mark, json!({}))),
        ("/mcp", call("create_task", json!({"user_id": mark, "title": {"text": mark}, (mark): mark}))),
        ("/mcp", json!({"jsonrpc": "2.0", "id": 1, "method": mark, "params": [mark]})),
        ("/mcp", told("progress", json!({"progressToken": mark, "progress": 1, "message": mark}))),
        ("/mcp", told("cancelled", json!({"requestId": mark, "reason": mark}))),
    ];
    let accept = [("accept", "application/json, text/event-stream")];
    let mut answers = Vec::new();
    for (path, body) in wrong {
        answers.push(page.send(Method::POST, path, &accept, &body).await?);
    }
    let broken = format!("{{\"user_id\": \"{mark}\", \"title\": \"{mark}");
    for (path, kind) in [("/api/tasks", "application/json"), ("/mcp", "application/json"), ("/api/tasks", mark)] {
        answers.push(page.upload(path, kind, broken.clone()).await?);
    }
    let import = format!("/api/tasks/import?user_id={mark}");
    answers.push(page.upload(&import, "text/csv", format!("{mark}\n\"{mark}")).await?);
    for path in ["tasks?sort=", "tasks?cursor=", "tasks?due_before=", "tasks/", "conversations/", "tasks?q=\"", ""] {
        answers.push(page.get(&format!("/api/{path}{mark}")).await?);
    }
    for name in ["x-user-id", "if-match", "idempotency-key", "traceparent", "last-event-id"] {
        let body = json!({"user_id": "somebody", "title": ""});
        answers.push(page.send(Method::POST, "/api/tasks", &[(name, mark)], &body).await?);
    }
    let failed: Vec<&Answer> = answers.iter().filter(|answer| answer.status.is_server_error()).collect();
    anyhow::ensure!(failed.is_empty(), "wrong requests are no failures of the platform: {failed:?}");
    Ok(())
}

/// One that cannot be read, one whose values are wrong and one that the database refuses, and what can be done with them.
pub(super) async fn events_that_cannot_be_handled(platform: &Platform, mark: &str) -> anyhow::Result<()> {
    let (mut database, _forward) = platform.database().await?;
    let refuse =
        format!("ALTER TABLE notifications ADD CONSTRAINT refused CHECK (title <> 'refused {mark}') NOT VALID");
    sqlx::query(sqlx::AssertSqlSafe(refuse)).execute(&mut database).await?;
    let now = jiff::Timestamp::now().to_string();
    let page = platform.page().await?;
    add_task(&page, json!({"user_id": mark, "title": format!("refused {mark}"), "due_at": now})).await?;
    let sidecar = platform.sidecar("backend-service").await?;
    let task = uuid::Uuid::new_v4();
    let wrong = json!({
        "task_id": task, "user_id": mark, "title": mark, "remind_at": now, "notification_method": mark.repeat(2),
    });
    for (topic, event) in [
        ("reminders", json!({"task_id": mark, "user_id": mark, "title": mark})),
        ("reminders", wrong),
        ("task-events", json!({"event_type": mark, "task_id": mark, "user_id": mark, "task_data": mark})),
    ] {
        sidecar.post(&format!("/v1.0/publish/kafka-pubsub/{topic}"), &event).await?.expect(204)?;
    }
    for (app, count) in [("notification-service", 3), ("recurring-task-service", 1)] {
        let management = platform.http(app, 8081).await?;
        let letters = until("what cannot be handled is kept", LIMIT, async || {
            let list = management.get("/dead-letters").await?.expect(200)?.json();
            Ok(list["items"].as_array().filter(|items| items.len() == count).cloned())
        })
        .await?;
        for letter in letters {
            let path = format!("/dead-letters/{}", letter["id"].as_str().unwrap_or_default());
            let replayed = management.post(&format!("{path}/replay"), &Value::Null).await?;
            assert!(!replayed.status.is_success(), "{}", replayed.text);
            assert!(management.delete(&path).await?.status.is_success());
        }
    }
    Ok(())
}

/// Over a request that has all in its URL: a stream, which is under way until something happens.
pub(super) async fn a_service_dies_over_a_request(platform: &Platform, page: &Http, mark: &str) -> anyhow::Result<()> {
    let path = format!("/api/events?user_id={mark}");
    let fails = async {
        loop {
            let answer = page.get(&path).await?;
            if answer.status.is_server_error() {
                return anyhow::Ok(answer);
            }
        }
    };
    let pods = platform.namespace.api::<Pod>();
    let kill = async {
        let names = ready_pods(&platform.namespace.env.client, &platform.namespace.name, "backend-service").await?;
        for name in &names {
            let uid = pods.get(name).await?.uid().unwrap_or_default();
            freeze::signal(&platform.namespace, &uid, "todo-backend", "KILL").await?;
        }
        anyhow::Ok(names)
    };
    let (answer, killed) = tokio::join!(timeout(LIMIT, fails), kill);
    let answer = answer.context("no request has noticed that the service died")??;
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{}", answer.text);
    for name in killed? {
        // Until the node has noticed, pod and platform are told to be ready, and no log is one of a life before.
        until("a service that died runs again", LIMIT, async || {
            let statuses =
                pods.get(&name).await?.status.and_then(|status| status.container_statuses).unwrap_or_default();
            let again = |container: &ContainerStatus| {
                container.name == "backend" && container.ready && container.restart_count > 0
            };
            Ok(statuses.iter().any(again).then_some(()))
        })
        .await?;
    }
    platform.ready().await?;
    Ok(())
}
