//! Export and import.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};

use super::fixture::{Answer, Backend, with_backend};

async fn import(backend: &Backend, query: &str, content_type: &str, body: String) -> Answer {
    let request = Request::post(format!("/api/tasks/import?{query}")).header("content-type", content_type);
    backend.request(request.body(Body::from(body)).unwrap()).await
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
