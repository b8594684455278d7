//! Requests with the header `Idempotency-Key`.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use todo_common::{database::Database, testing::with_database};
use tower::ServiceExt;

use super::{app_with, channels::everything};

/// Status, whether it was given before, and body.
type Answer = (StatusCode, bool, Value);

async fn send(app: &Router, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("dapr-api-token", "token")
        .header("x-user-id", "ada")
        .header("idempotency-key", key)
        .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (status, is_old) = (response.status(), response.headers().contains_key("idempotency-replayed"));
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, is_old, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Sends it twice and gives the answer, which is the same both times.
async fn twice(app: &Router, method: &str, path: &str, key: &str, body: Value) -> (StatusCode, Value) {
    let (status, is_old, answer) = send(app, method, path, key, &body).await;
    assert!(!is_old, "{path}: {answer}");
    assert_eq!(send(app, method, path, key, &body).await, (status, true, answer.clone()), "{path}");
    (status, answer)
}

async fn count(pool: &PgPool, table: &'static str) -> i64 {
    let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn writes_that_are_sent_twice_are_done_once() {
    with_database(|pool| async move {
        let app = app_with(&Database::ready(pool.clone()), Arc::new(everything()));
        let message = json!({"user_id": "ada", "message": "Buy groceries"});
        let (status, sent) = twice(&app, "POST", "/send-notification", "k1", message).await;
        assert_eq!((status, count(&pool, "notifications").await), (StatusCode::OK, 1));
        let read = format!("/api/notifications/{}/read", sent["id"].as_str().unwrap());
        assert_eq!(twice(&app, "POST", &read, "k2", Value::Null).await.0, StatusCode::OK);
        send(&app, "POST", "/send-notification", "k7", &json!({"user_id": "ada", "message": "Buy bread"})).await;
        let read_all = twice(&app, "POST", "/api/notifications/read-all", "k8", Value::Null).await;
        assert_eq!(read_all, (StatusCode::OK, json!({"count": 1})));

        let channels = "/api/notifications/channels";
        let new = json!({"kind": "webhook", "name": "a", "url": "https://example.com/hook"});
        let (status, _, channel) = send(&app, "POST", channels, "k3", &new).await;
        assert_eq!((status, channel["secret"].is_string()), (StatusCode::CREATED, true), "{channel}");
        let (status, is_old, again) = send(&app, "POST", channels, "k3", &new).await;
        assert_eq!((status, is_old, count(&pool, "channels").await), (StatusCode::CREATED, true, 1), "{again}");
        assert_eq!((&again["id"], &again["secret_was_shown"]), (&channel["id"], &json!(true)));
        let secrets = "SELECT count(*) FROM idempotency_keys WHERE convert_from(body, 'UTF8') LIKE '%whsec_%'";
        let kept: i64 = sqlx::query_scalar(secrets).fetch_one(&pool).await.unwrap();
        assert!(again.get("secret").is_none() && kept == 0, "{again}");
        let channel = format!("{channels}/{}", channel["id"].as_str().unwrap());
        assert_eq!(twice(&app, "PATCH", &channel, "k4", json!({"name": "b"})).await.1["name"], "b");
        let test = format!("{channel}/test");
        assert_eq!(twice(&app, "POST", &test, "k5", Value::Null).await.0, StatusCode::ACCEPTED);
        assert_eq!(count(&pool, "deliveries").await, 1);
        assert_eq!(twice(&app, "DELETE", &channel, "k6", Value::Null).await.0, StatusCode::NO_CONTENT);
    })
    .await;
}

#[tokio::test]
async fn another_request_with_the_key_is_refused_and_one_that_failed_may_be_sent_again() {
    with_database(|pool| async move {
        let app = app_with(&Database::ready(pool.clone()), Arc::new(everything()));
        let message = |text: &str| json!({"user_id": "ada", "message": text});
        let status = async |text: &str| send(&app, "POST", "/send-notification", "k1", &message(text)).await.0;
        assert_eq!(status(" ").await, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(status("Buy groceries").await, StatusCode::OK);
        assert_eq!(status("Buy bread").await, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(count(&pool, "notifications").await, 1);
    })
    .await;
}
