//! The client against a stand-in that answers as the real sidecar was seen to (dapr-facts, section 5).

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use reqwest::Method as Verb;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    dapr::{Client, Error, Event},
    telemetry::trace_context,
};

#[derive(Clone, Debug)]
struct Seen {
    request: String,
    content_type: Option<String>,
    traceparent: Option<String>,
    request_id: Option<String>,
    body: Value,
}

type Log = Arc<Mutex<Vec<Seen>>>;

async fn answer(State(log): State<Log>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    log.lock().unwrap().push(Seen {
        request: format!("{method} {uri}"),
        content_type: header("content-type"),
        traceparent: header("traceparent"),
        request_id: header("todo-request-id"),
        body: body.clone(),
    });
    match uri.path() {
        "/v1.0-alpha1/publish/bulk/kafka-pubsub/picky" => {
            let failed = json!([{"entryId": "e2", "error": "too large"}]);
            let body = json!({"failedEntries": failed, "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE"});
            (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
        }
        "/v1.0-alpha1/publish/bulk/kafka-pubsub/away" => {
            let body = json!({"errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE", "message": "broker is away"});
            (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
        }
        "/v1.0/state/statestore/there" => ([("etag", "7")], axum::Json(json!({"turns": 1}))).into_response(),
        "/v1.0/state/statestore" => match body[0].get("etag") {
            Some(etag) if etag == "7" => StatusCode::NO_CONTENT.into_response(),
            Some(_) => StatusCode::CONFLICT.into_response(),
            None => (StatusCode::INTERNAL_SERVER_ERROR, "no item was updated").into_response(),
        },
        "/v1.0/secrets/kubernetes-secrets/postgres-connection" => {
            axum::Json(json!({"connection-string": "hunter2"})).into_response()
        }
        "/v1.0/invoke/notification-service/method/send-notification" => axum::Json(json!({"id": "n1"})).into_response(),
        "/v1.0/publish/kafka-pubsub/task-events"
        | "/v1.0-alpha1/publish/bulk/kafka-pubsub/task-events"
        | "/v1.0/state/statestore/missing"
        | "/v1.0/healthz/outbound" => StatusCode::NO_CONTENT.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn sidecar() -> (Client, Log) {
    let log = Log::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).with_state(log.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Client::new(&format!("http://{address}/")).unwrap(), log)
}

fn last(log: &Log) -> Seen {
    log.lock().unwrap().last().unwrap().clone()
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn events_are_published_as_json_each_with_its_id_key_and_trace() {
    let (client, log) = sidecar().await;
    let data = json!({"a": 1});
    let one = Event { id: "e1", partition_key: "task&1", traceparent: Some(PARENT), data: &data };
    let two = Event { id: "e2", partition_key: "task 2", traceparent: None, data: &data };
    assert!(client.publish("kafka-pubsub", "task-events", &[one, two]).await.unwrap().is_empty());
    let seen = last(&log);
    assert_eq!(seen.request, "POST /v1.0-alpha1/publish/bulk/kafka-pubsub/task-events");
    let entry = |id: &str, metadata: Value| json!({"entryId": id, "event": {"a": 1}, "contentType": "application/json", "metadata": metadata});
    let first = json!({"cloudevent.id": "e1", "cloudevent.traceparent": PARENT, "partitionKey": "task&1"});
    let second = json!({"cloudevent.id": "e2", "partitionKey": "task 2"});
    assert_eq!(seen.body, json!([entry("e1", first), entry("e2", second)]));
}

#[tokio::test]
async fn of_several_events_only_those_that_failed_are_told() {
    let (client, _) = sidecar().await;
    let data = json!({});
    let event = |id| Event { id, partition_key: "k", traceparent: None, data: &data };
    let failed = client.publish("kafka-pubsub", "picky", &[event("e1"), event("e2")]).await.unwrap();
    assert_eq!(failed, [("e2".to_owned(), "too large".to_owned())].into());
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_in_daprs_words_and_may_be_tried_again() {
    let (client, _) = sidecar().await;
    let data = json!({});
    let event = Event { id: "e1", partition_key: "k", traceparent: None, data: &data };
    let error = client.publish("kafka-pubsub", "away", &[event]).await.unwrap_err();
    assert!(error.is_transient());
    assert!(
        error.to_string().ends_with("500 Internal Server Error ERR_PUBSUB_PUBLISH_MESSAGE: broker is away"),
        "{error}"
    );
}

#[tokio::test]
async fn an_event_is_forwarded_as_it_is_in_the_trace_of_the_caller() {
    let (client, log) = sidecar().await;
    let event = json!({"specversion": "1.0", "id": "e1", "data": {}});
    let forward = client.forward("kafka-pubsub", "task-events", "task&1", &event);
    trace_context::scope(Some(PARENT), forward).await.unwrap();
    let seen = last(&log);
    assert_eq!(seen.request, "POST /v1.0/publish/kafka-pubsub/task-events?metadata.partitionKey=task%261");
    assert_eq!(seen.content_type.as_deref(), Some("application/cloudevents+json"));
    assert_eq!(seen.traceparent.as_deref(), Some(PARENT));
    assert_eq!(seen.body, event);
}

#[tokio::test]
async fn state_is_saved_only_over_what_was_read() {
    let (client, log) = sidecar().await;
    let missing: Option<(Value, _)> = client.state_get("statestore", "missing").await.unwrap();
    assert!(missing.is_none());
    let (value, etag) = client.state_get::<Value>("statestore", "there").await.unwrap().unwrap();
    assert_eq!(value, json!({"turns": 1}));
    let hour = Some(std::time::Duration::from_hours(1));
    client.state_save("statestore", "there", &json!({"turns": 2}), Some(&etag), hour).await.unwrap();
    let options = json!({"concurrency": "first-write", "consistency": "strong"});
    let item = json!({"key": "there", "value": {"turns": 2}, "options": options, "etag": "7", "metadata": {"ttlInSeconds": "3600"}});
    assert_eq!(last(&log).body, json!([item]));
    let created = client.state_save("statestore", "there", &json!({}), None, None).await;
    assert!(matches!(created, Err(Error::Conflict)), "{created:?}");
}

#[tokio::test]
async fn secrets_and_other_services_are_reached_through_the_sidecar() {
    let (client, log) = sidecar().await;
    let secret = client.secret("kubernetes-secrets", "postgres-connection").await.unwrap();
    assert_eq!(secret["connection-string"].expose(), "hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let (id, body) = (Uuid::new_v4(), json!({"user_id": "ada"}));
    let answer = client.invoke("notification-service", Verb::POST, "/send-notification", id, &body).await;
    assert_eq!(answer.unwrap(), json!({"id": "n1"}));
    assert_eq!(last(&log).request_id, Some(id.to_string()));
    assert!(client.outbound_ready().await);
    client.state_get::<Value>("statestore", "../secrets/x").await.unwrap_err();
    assert_eq!(
        last(&log).request,
        "GET /v1.0/state/statestore/..%2Fsecrets%2Fx?consistency=strong",
        "a key cannot leave its place"
    );
}
