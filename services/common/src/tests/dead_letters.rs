//! What a person can do with dead letters.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::connect_info::MockConnectInfo,
    http::{Request, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::{
    consumer::{Hasty, Writer, writer, written},
    count,
};
use crate::{
    consumer::{self, Consumer},
    database::Database,
    dead_letters::{self, store},
    server,
    testing::{no_sidecar, with_database},
};

/// What the sidecar hears when it posts a record as it is in the topic.
async fn arrive(database: &Database, record: &[u8]) -> Value {
    arrive_at::<Writer>(database, record).await
}

async fn arrive_at<C: Consumer>(database: &Database, record: &[u8]) -> Value {
    let wrapped = json!({"id": Uuid::new_v4(), "specversion": "1.0", "type": "com.dapr.event.sent", "source": "Dapr",
        "datacontenttype": "application/octet-stream", "topic": "texts-dead", "pubsubname": "kafka-pubsub",
        "data_base64": BASE64_STANDARD.encode(record)});
    let app: Router = server::layered(consumer::router::<C>(database.clone(), no_sidecar()));
    let request = Request::post("/dead-letters").body(Body::from(wrapped.to_string())).unwrap();
    let bytes = axum::body::to_bytes(app.oneshot(request).await.unwrap().into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice::<Value>(&bytes).unwrap()["status"].clone()
}

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
async fn whatever_a_record_is_it_is_kept_once_and_holds_up_nothing() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let event = |id: &str, text: &str| json!({"specversion": "1.0", "id": id, "data": {"text": text}}).to_string();
        let (bad, large) = (event("e1", "bad"), "x".repeat(4 << 20));
        let records: [&[u8]; 8] =
            [b"hello", b"[]", b"null", b"", b"\xff\x00", b"{\"n\": 7}", bad.as_bytes(), large.as_bytes()];
        for record in records.iter().chain(&records) {
            assert_eq!(arrive(&database, record).await, "SUCCESS");
        }
        let kept: Vec<Value> = sqlx::query_scalar("SELECT payload FROM dead_letters").fetch_all(&pool).await.unwrap();
        assert_eq!(kept.len(), records.len());
        for payload in [json!("hello"), json!([]), Value::Null, json!(""), json!({"n": 7}), json!({"text": "bad"})] {
            assert!(kept.contains(&payload), "{payload}");
        }
        assert_eq!(arrive(&database, event("e2", "good").as_bytes()).await, "SUCCESS");
        assert_eq!(written(&database).await, ["good"], "what can be handled is handled");
        assert_eq!(count(&pool, "dead_letters").await, 8);
    })
    .await;
}

#[tokio::test]
async fn a_record_over_which_the_program_panics_is_kept_and_holds_up_nothing() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        assert_eq!(
            arrive(&database, br#"{"specversion": "1.0", "id": "e1", "data": {"text": "panic"}}"#).await,
            "SUCCESS"
        );
        let (_, letter) = call(&database, "GET", "/dead-letters/e1").await;
        assert_eq!(letter["error"], "the program panicked over it");
        assert_eq!(call(&database, "POST", "/dead-letters/e1/replay").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    })
    .await;
}

#[tokio::test]
async fn a_record_that_always_takes_too_long_is_kept_and_holds_up_nothing() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let record = br#"{"specversion": "1.0", "id": "e1", "data": {"text": "hang"}}"#;
        assert_eq!(arrive_at::<Hasty>(&database, record).await, "SUCCESS");
        let (_, letter) = call(&database, "GET", "/dead-letters/e1").await;
        assert!(letter["error"].as_str().unwrap().contains("took longer"), "{letter}");
    })
    .await;
}

#[tokio::test]
async fn a_record_is_tried_again_while_the_database_is_away() {
    for record in [&b"hello"[..], br#"{"text": "a"}"#] {
        assert_eq!(arrive(&Database::new(), record).await, "RETRY");
    }
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
async fn all_dead_letters_are_listed_page_by_page() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        // Two of them at the same time, as one statement writes them; and one that comes while the pages are read.
        let write = "INSERT INTO dead_letters (id, topic, payload, received_at)
                     SELECT n || '/ä', 'texts', '{}', '2026-03-01T08:00:00.000001Z'::timestamptz + (n / 2) * interval '1 s'
                     FROM generate_series(1, 5) AS n";
        sqlx::query(write).execute(&pool).await.unwrap();
        let (mut seen, mut path) = (Vec::new(), "/dead-letters?limit=2".to_owned());
        loop {
            let (status, page) = call(&database, "GET", &path).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            let items = page["items"].as_array().unwrap();
            assert!((1..=2).contains(&items.len()), "{page}");
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            keep(&database, &format!("later {}", seen.len()), json!({})).await;
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/dead-letters?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ["4/ä", "5/ä", "2/ä", "3/ä", "1/ä"]);
        for wrong in ["x", "MQ", "YSBi"] {
            let path = format!("/dead-letters?cursor={wrong}");
            assert_eq!(call(&database, "GET", &path).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        }
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
