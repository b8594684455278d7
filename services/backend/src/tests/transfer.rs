//! Export and import.

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};
use todo_common::server::BODY_LIMIT;

use super::fixture::{Answer, Backend, with_backend};

async fn import(backend: &Backend, query: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(format!("/api/tasks/import?{query}")).header("content-type", content_type);
    backend.request(request.body(body.into()).unwrap()).await
}

/// What an import takes over of each task, in order.
async fn content(backend: &Backend, user: &str) -> Vec<Value> {
    let mut document: Value =
        serde_json::from_str(&backend.text(&format!("/api/tasks/export?user_id={user}")).await).unwrap();
    let mut items = document["items"].take();
    for item in items.as_array_mut().unwrap() {
        for own in ["id", "user_id", "series_id", "version", "created_at", "updated_at"] {
            item.as_object_mut().unwrap().remove(own);
        }
    }
    items.as_array().unwrap().clone()
}

async fn fill(backend: &Backend) {
    for number in 0..205 {
        backend.create(json!({"user_id": "ada", "title": format!("task {number}")})).await;
    }
    backend
        .create(json!({"user_id": "ada", "title": "=cmd|' /C calc'!A0", "notes": "a, \"b\"\nc", "priority": "urgent",
            "tags": ["a;b", "c\\", "-d"], "due_at": "2099-03-01T09:00:00.5Z", "time_zone": "Europe/Berlin",
            "recurrence": {"rrule": "FREQ=WEEKLY;BYDAY=MO,TH"},
            "reminders": [{"before_minutes": 10}, {"at": "2099-02-28T09:00:00Z"}]}))
        .await;
    let done = json!({"user_id": "ada", "title": "done", "due_date": "2026-03-01", "recurrence": {"after_completion_days": 3}});
    let id = backend.create(done).await;
    backend.post(&format!("/api/tasks/{id}/complete?user_id=ada"), Value::Null).await;
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() {
    with_backend(async |backend| {
        fill(&backend).await;
        let original = content(&backend, "ada").await;
        assert_eq!(original.len(), 207);
        for (format, content_type) in [("json", "application/json"), ("csv", "text/csv; charset=utf-8")] {
            let exported = backend.text(&format!("/api/tasks/export?user_id=ada&format={format}")).await;
            let answer = import(&backend, &format!("user_id={format}"), content_type, exported).await;
            assert_eq!((answer.status, &answer.body["count"]), (StatusCode::CREATED, &json!(207)), "{answer:?}");
            assert_eq!(content(&backend, format).await, original, "{format}");
        }
    })
    .await;
}

/// Imports all parts of an export, one after the other, and gives how many there were.
async fn in_parts(backend: &Backend, from: &str, to: &str, format: &str, content_type: &str, limit: u32) -> usize {
    let (mut parts, mut cursor) = (0, String::new());
    loop {
        parts += 1;
        let path = format!("/api/tasks/export?user_id={from}&format={format}&limit={limit}{cursor}");
        let exported = backend.open(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(exported.status(), StatusCode::OK);
        let next = exported.headers().get("next-cursor").map(|next| next.to_str().unwrap().to_owned());
        let part = to_bytes(exported.into_body(), usize::MAX).await.unwrap();
        let answer = import(backend, &format!("user_id={to}"), content_type, part).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert!(answer.body["count"].as_u64() <= Some(limit.into()), "{answer:?}");
        let Some(next) = next else { return parts };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn an_export_that_is_too_large_for_an_import_is_brought_back_in_parts() {
    with_backend(async |backend| {
        for tasks in [vec![json!({"title": "a"}); 1000], vec![json!({"title": "b"})]] {
            let items = json!({"items": tasks}).to_string();
            assert_eq!(import(&backend, "user_id=ada", "application/json", items).await.status, StatusCode::CREATED);
        }
        let original = content(&backend, "ada").await;
        assert_eq!(original.len(), 1001);
        for (format, content_type) in [("json", "application/json"), ("csv", "text/csv")] {
            let whole = backend.text(&format!("/api/tasks/export?user_id=ada&format={format}")).await;
            let refused = import(&backend, "user_id=bob", content_type, whole).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(refused.body.to_string().contains("`limit`"), "{refused:?}");
            assert_eq!(in_parts(&backend, "ada", format, format, content_type, 5000).await, 2);
            assert_eq!(content(&backend, format).await, original, "{format}");
        }
        assert_eq!(in_parts(&backend, "ada", "by-300", "json", "application/json", 300).await, 4);
        assert_eq!(content(&backend, "by-300").await, original);
        assert_eq!(
            backend.text("/api/tasks/export?user_id=nobody&limit=1").await,
            r#"{"items":[],"next_cursor":null}"#
        );
        assert_eq!(
            backend.get("/api/tasks/export?user_id=ada&cursor=x").await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    })
    .await;
}

#[tokio::test]
async fn a_part_of_an_export_has_no_more_bytes_than_an_import_takes() {
    with_backend(async |backend| {
        // Each sign is six in JSON.
        let task = json!({"title": "long", "notes": "\u{1}".repeat(10_000)});
        for _ in 0..2 {
            let items = json!({"items": vec![task.clone(); 15]}).to_string();
            assert_eq!(import(&backend, "user_id=ada", "application/json", items).await.status, StatusCode::CREATED);
        }
        let whole = backend.text("/api/tasks/export?user_id=ada").await;
        assert!(whole.len() > BODY_LIMIT);
        assert_eq!(
            import(&backend, "user_id=bob", "application/json", whole).await.status,
            StatusCode::PAYLOAD_TOO_LARGE
        );
        assert_eq!(in_parts(&backend, "ada", "bob", "json", "application/json", 1000).await, 2);
        assert_eq!(content(&backend, "bob").await, content(&backend, "ada").await);
    })
    .await;
}

#[tokio::test]
async fn one_wrong_task_keeps_out_all_and_each_mistake_is_told() {
    with_backend(async |backend| {
        let items = json!({"items": [{"title": "a"}, {"title": ""}, {"title": "c", "due_at": "soon"}, 3]});
        let answer = import(&backend, "user_id=ada", "application/json", items.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let fields: Vec<_> =
            answer.body["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
        assert_eq!(fields, ["items[1].title", "items[2].due_at", "items[3]"]);
        let table = "title,priority\na,high\nb,huge\n,low\n";
        let answer = import(&backend, "user_id=ada", "text/csv", table.to_owned()).await;
        let fields: Vec<_> =
            answer.body["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
        assert_eq!(fields, ["row 3.priority", "row 4.title"]);
        assert!(content(&backend, "ada").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_does_nothing_and_a_key_keeps_an_import_from_being_done_twice() {
    with_backend(async |backend| {
        let items = json!({"items": [{"title": "a"}, {"title": "b"}]});
        let dry = import(&backend, "user_id=ada&dry_run=true", "application/json", items.to_string()).await;
        assert_eq!((dry.status, dry.body), (StatusCode::OK, json!({"count": 2, "ids": [], "dry_run": true})));
        assert!(content(&backend, "ada").await.is_empty());
        for _ in 0..2 {
            let path = "/api/tasks/import?user_id=ada";
            let done = backend.send_with(Method::POST, path, &[("idempotency-key", "k")], items.clone()).await;
            assert_eq!((done.status, &done.body["count"]), (StatusCode::CREATED, &json!(2)));
        }
        assert_eq!(content(&backend, "ada").await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_import_is_limited_and_tells_nobody_of_what_has_passed() {
    with_backend(async |backend| {
        let many = json!({"items": vec![json!({"title": "a"}); 1001]});
        let answer = import(&backend, "user_id=ada", "application/json", many.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(import(&backend, "user_id=ada", "text/plain", "a".to_owned()).await.status.as_u16(), 415);
        let late = json!({"items": [{"title": "late", "due_at": "2020-01-01T09:00:00Z"},
            {"title": "done", "due_at": "2099-01-01T09:00:00Z", "status": "completed"}]});
        assert_eq!(
            import(&backend, "user_id=ada", "application/json", late.to_string()).await.status,
            StatusCode::CREATED
        );
        let reminders: i64 = sqlx::query_scalar("SELECT count(*) FROM task_reminders WHERE claimed_at IS NULL")
            .fetch_one(&backend.pool)
            .await
            .unwrap();
        assert_eq!(reminders, 0);
    })
    .await;
}
