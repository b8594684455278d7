//! What a person can do with dead letters.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::connect_info::MockConnectInfo,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{
    consumer::{Writer, writer, written},
    count,
};
use crate::{
    database::Database,
    dead_letters::{self, store},
    testing::with_database,
};

async fn ask(database: &Database, caller: &str, method: &str, path: &str) -> (StatusCode, Value) {
    let caller: SocketAddr = caller.parse().unwrap();
    let app = dead_letters::management::<Writer>(database.clone()).layer(MockConnectInfo(caller));
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn call(database: &Database, method: &str, path: &str) -> (StatusCode, Value) {
    ask(database, "[::ffff:127.0.0.1]:1234", method, path).await
}

async fn keep(database: &Database, id: &str, payload: Value) {
    let mut connection = database.pool().unwrap().acquire().await.unwrap();
    store(&mut connection, id, "texts", &payload, Some("it was a bad day")).await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_is_replayed_once_what_was_in_the_way_is_gone() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        keep(&database, "e/1", json!({"text": "bad"})).await;
        let (status, problem) = call(&database, "POST", "/dead-letters/e%2F1/replay").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{problem}");
        let (_, letter) = call(&database, "GET", "/dead-letters/e%2F1").await;
        assert_eq!(
            (&letter["payload"], &letter["error"]),
            (&json!({"text": "bad"}), &json!("The service made a mistake")),
            "it stays, with the new reason"
        );

        sqlx::query("ALTER TABLE written DROP CONSTRAINT written_text_check").execute(&pool).await.unwrap();
        let replayed = call(&database, "POST", "/dead-letters/e%2F1/replay").await;
        assert_eq!(replayed, (StatusCode::OK, json!({"status": "handled"})));
        assert_eq!(call(&database, "POST", "/dead-letters/e%2F1/replay").await.0, StatusCode::NOT_FOUND);
        keep(&database, "e/1", json!({"text": "bad"})).await;
        assert_eq!(call(&database, "POST", "/dead-letters/e%2F1/replay").await.0, StatusCode::OK);
        assert_eq!(written(&database).await, ["bad"], "what was handled is not handled again");
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_listed_without_their_payloads_and_can_be_thrown_away() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        keep(&database, "e1", json!("not even an event")).await;
        keep(&database, "e2", json!({"text": "a"})).await;
        let mut c = pool.acquire().await.unwrap();
        store(&mut c, "e3", "another topic", &json!({}), None).await.unwrap();
        let (_, page) = call(&database, "GET", "/dead-letters?limit=5").await;
        let seen: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| (&item["id"], &item["error"])).collect();
        let reason = &json!("it was a bad day");
        assert_eq!(seen, [(&json!("e2"), reason), (&json!("e1"), reason)]);
        assert!(page["items"][0].get("payload").is_none());

        assert_eq!(call(&database, "POST", "/dead-letters/e1/replay").await.0, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(call(&database, "DELETE", "/dead-letters/e1").await.0, StatusCode::NO_CONTENT);
        assert_eq!(call(&database, "DELETE", "/dead-letters/e1").await.0, StatusCode::NOT_FOUND);
        assert_eq!(call(&database, "DELETE", "/dead-letters/e3").await.0, StatusCode::NOT_FOUND);
        assert_eq!(count(&pool, "dead_letters").await, 2);
    })
    .await;
}

#[tokio::test]
async fn only_callers_within_the_pod_may_touch_dead_letters() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        keep(&database, "e1", json!({"text": "a"})).await;
        for (method, path) in [
            ("GET", "/dead-letters"),
            ("GET", "/dead-letters/e1"),
            ("DELETE", "/dead-letters/e1"),
            ("POST", "/dead-letters/e1/replay"),
        ] {
            assert_eq!(ask(&database, "10.1.2.3:1234", method, path).await.0, StatusCode::FORBIDDEN, "{method} {path}");
        }
        assert_eq!(count(&pool, "dead_letters").await, 1);
    })
    .await;
}
