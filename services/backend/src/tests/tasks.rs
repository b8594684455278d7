//! `/api/tasks`.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};

use super::fixture::with_backend;

#[tokio::test]
async fn null_removes_what_can_be_absent_and_is_no_title() {
    with_backend(async |backend| {
        let task = json!({"user_id": "ada", "title": "a", "due_at": "2030-01-01T09:00:00Z", "time_zone": "Europe/Berlin",
            "priority": "high", "tags": ["b"], "reminders": [{"before_minutes": 10}]});
        let path = format!("/api/tasks/{}?user_id=ada", backend.create(task).await);
        let nothing = json!({"priority": null, "tags": null, "reminders": null, "time_zone": null});
        let changed = backend.send(Method::PATCH, &path, nothing).await;
        assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
        let default = json!({"priority": "none", "tags": [], "reminders": [], "time_zone": "UTC"});
        for (field, value) in default.as_object().unwrap() {
            assert_eq!(changed.body[field], *value, "{field}");
        }
        let untitled = backend.send(Method::PATCH, &path, json!({"title": null})).await;
        assert_eq!(untitled.status, StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await;
}

#[tokio::test]
async fn a_created_task_has_a_location_and_an_etag_and_is_listed() {
    with_backend(async |backend| {
        let answer = backend.post("/api/tasks", json!({"user_id": "ada", "title": "buy milk", "tags": ["home"]})).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.header("etag"), "\"1\"");
        let read = backend.get(&format!("{}?user_id=ada", answer.header("location"))).await;
        assert_eq!(read.body, answer.body);
        let listed = backend.get("/api/tasks?user_id=ada&tag=home&q=MILK&status=open&sort=-created_at").await;
        assert_eq!(listed.body, json!({"items": [answer.body], "next_cursor": null}));
    })
    .await;
}

#[tokio::test]
async fn a_list_says_of_nobody_whose_task_it_is() {
    with_backend(async |backend| {
        let path = format!("/api/tasks/{}", backend.create(json!({"user_id": "ada", "title": "a"})).await);
        let answer = backend.post(&format!("{path}/complete"), json!(["ada"])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert_eq!(backend.get(&format!("{path}?user_id=ada")).await.body["status"], "open");
        let answer = backend.post(&format!("{path}/complete"), json!({"user_id": ["ada"]})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
        assert_eq!(backend.post(&format!("{path}/complete"), json!({"user_id": "ada"})).await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn a_stale_etag_is_refused_and_a_weak_one_is_never_of_now() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let path = format!("/api/tasks/{id}");
        let titled = |title: &str| json!({"user_id": "ada", "title": title});
        let first = backend.send_with(Method::PATCH, &path, &[("if-match", "\"1\"")], titled("b")).await;
        assert_eq!((first.status, first.header("etag")), (StatusCode::OK, "\"2\""));
        let second = backend.send_with(Method::PATCH, &path, &[("if-match", "\"1\"")], titled("c")).await;
        assert_eq!(second.status, StatusCode::PRECONDITION_FAILED);
        let weak = backend.send_with(Method::PATCH, &path, &[("if-match", "W/\"2\"")], titled("c")).await;
        assert_eq!(
            (weak.status, &weak.body["type"]),
            (StatusCode::PRECONDITION_FAILED, &json!("urn:todoplatform:problem:stale"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_patch_keeps_what_it_does_not_name_and_a_put_resets_it() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a", "notes": "n", "priority": "high"})).await;
        let path = format!("/api/tasks/{id}");
        let patched = backend.send(Method::PATCH, &path, json!({"user_id": "ada", "title": "b"})).await.body;
        assert_eq!((&patched["title"], &patched["notes"]), (&json!("b"), &json!("n")));
        let without = backend.send(Method::PATCH, &path, json!({"user_id": "ada", "notes": null})).await.body;
        assert_eq!((&without["title"], &without["notes"]), (&json!("b"), &Value::Null));
        let put = backend.send(Method::PUT, &path, json!({"user_id": "ada", "title": "c"})).await.body;
        assert_eq!((&put["title"], &put["notes"], &put["priority"]), (&json!("c"), &Value::Null, &json!("none")));
    })
    .await;
}

#[tokio::test]
async fn a_task_is_completed_reopened_deleted_and_restored() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let path = format!("/api/tasks/{id}");
        let completed = backend.post(&format!("{path}/complete"), json!({"user_id": "ada"})).await;
        assert_eq!(completed.body["status"], "completed");
        let reopened = backend.post(&format!("{path}/reopen?user_id=ada"), Value::Null).await;
        assert_eq!(reopened.body["status"], "open");
        let deleted = backend.send(Method::DELETE, &format!("{path}?user_id=ada"), Value::Null).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        assert_eq!(backend.get(&format!("{path}?user_id=ada")).await.status, StatusCode::NOT_FOUND);
        let restored =
            backend.send_with(Method::POST, &format!("{path}/restore"), &[("x-user-id", "ada")], Value::Null).await;
        assert_eq!((restored.status, &restored.body["status"]), (StatusCode::OK, &json!("open")));
    })
    .await;
}

#[tokio::test]
async fn a_strangers_task_looks_like_none() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let path = format!("/api/tasks/{id}");
        assert_eq!(backend.get(&format!("{path}?user_id=bob")).await.status, StatusCode::NOT_FOUND);
        let changed = backend.send(Method::PATCH, &path, json!({"user_id": "bob", "title": "b"})).await;
        assert_eq!(changed.status, StatusCode::NOT_FOUND);
        let complete = backend.post(&format!("{path}/complete"), json!({"user_id": "bob"})).await;
        assert_eq!(complete.status, StatusCode::NOT_FOUND);
        assert_eq!(backend.get("/api/tasks?user_id=bob").await.body["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_bulk_change_tells_the_outcome_of_each_task() {
    with_backend(async |backend| {
        let first = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let other = backend.create(json!({"user_id": "bob", "title": "b"})).await;
        let body = json!({"user_id": "ada", "action": "complete", "ids": [other, first]});
        let answer = backend.post("/api/tasks/bulk", body).await;
        assert_eq!(answer.status, StatusCode::OK);
        let items = answer.body["items"].as_array().unwrap();
        assert_eq!((&items[0]["id"], &items[1]["id"]), (&json!(other), &json!(first)));
        assert!(items[0]["error"].is_string());
        assert_eq!(items[1]["task"]["status"], "completed");
    })
    .await;
}

#[tokio::test]
async fn a_bulk_change_that_the_database_refuses_for_one_task_changes_none_of_them() {
    with_backend(async |backend| {
        let first = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let second = backend.create(json!({"user_id": "ada", "title": "b"})).await;
        // They are changed in the order of their ids, which is that of their creation.
        let refuse = "ALTER TABLE tasks ADD CHECK (title <> 'b' OR completed_at IS NULL)";
        sqlx::query(refuse).execute(&backend.pool).await.unwrap();
        let body = json!({"user_id": "ada", "action": "complete", "ids": [first, second]});
        assert!(backend.post("/api/tasks/bulk", body).await.status.is_server_error());
        let open = backend.get("/api/tasks?user_id=ada&status=open").await.body;
        assert_eq!(open["items"].as_array().unwrap().len(), 2);
        let told: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&backend.pool).await.unwrap();
        assert_eq!(told, 2, "that both were created");
    })
    .await;
}

#[tokio::test]
async fn a_lost_completion_is_replayed_by_service_invocation() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let path = format!("/api/tasks/{id}/process-completion?user_id=ada");
        assert_eq!(backend.post(&path, Value::Null).await.status, StatusCode::CONFLICT);
        backend.post(&format!("/api/tasks/{id}/complete"), json!({"user_id": "ada"})).await;
        assert_eq!(backend.post(&path, Value::Null).await.body, json!({"status": "done"}));
        let calls = backend.sidecar.calls();
        assert_eq!(calls[0].0, "recurring-task-service/process-completion");
        assert_eq!(calls[0].1["id"], json!(id));
    })
    .await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_a_problem() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let (task, reminders) = (format!("/api/tasks/{id}"), format!("/api/tasks/{id}/reminders"));
        let post = |path, body| (Method::POST, path, body);
        let get = |path| (Method::GET, path, Value::Null);
        let with =
            |field: &str, value: Value| post("/api/tasks", json!({"user_id": "ada", "title": "a", field: value}));
        for ((method, path, body), status, field) in [
            (get("/nowhere"), 404, ""),
            ((Method::PATCH, "/api/tasks", Value::Null), 405, ""),
            (get("/api/tasks"), 422, "user_id"),
            (get("/api/tasks?user_id=$canary"), 422, "user_id"),
            (get("/api/tasks?user_id=ada&status=closed"), 422, "status"),
            (get("/api/tasks?user_id=ada&limit=many"), 400, ""),
            (get("/api/tasks/3?user_id=ada"), 404, ""),
            (post("/api/tasks", json!([])), 422, ""),
            (post("/api/tasks", json!({"user_id": "ada"})), 422, "title"),
            (post("/api/tasks", json!({"user_id": 7, "title": "a"})), 422, "user_id"),
            (with("title", json!("x".repeat(201))), 422, "title"),
            (with("title", json!(1)), 422, "title"),
            (with("priority", json!("huge")), 422, "priority"),
            (with("due_at", json!("soon")), 422, "due_at"),
            (with("tags", json!(["b", 7])), 422, "tags[1]"),
            (with("recurrence", json!({"rrule": 7})), 422, "recurrence.rrule"),
            (with("reminders", json!([{"at": "soon"}])), 422, "reminders[0].at"),
            (with("time_zone", json!("Mars/Base")), 422, "time_zone"),
            (post("/api/tasks/bulk", json!({"user_id": "ada", "action": "complete", "ids": []})), 422, "ids"),
            (post("/api/tasks/bulk", json!({"user_id": "ada", "action": "paint", "ids": [id]})), 422, "action"),
            ((Method::PATCH, &task, json!({"user_id": "ada", "title": ""})), 422, "title"),
            (post(&reminders, json!({"user_id": "ada", "at": "soon"})), 422, "at"),
            (post(&reminders, json!({"user_id": "ada"})), 422, "at"),
            (post("/api/chat", json!({"user_id": "ada", "message": 7})), 422, "message"),
            (post("/reminder-cron", Value::Null), 401, ""),
            (get("/dapr/subscribe"), 401, ""),
        ] {
            let answer = backend.send(method.clone(), path, body).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
            assert_eq!(answer.body["status"], status);
            let errors = answer.body["errors"].as_array();
            let named = errors.and_then(|errors| errors.first()).map_or("", |error| error["field"].as_str().unwrap());
            assert_eq!(named, field, "{method} {path}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_problem() {
    with_backend(async |backend| {
        let post = |content_type: &str, body: &'static str| {
            Request::post("/api/tasks").header("content-type", content_type).body(Body::from(body)).unwrap()
        };
        assert_eq!(backend.request(post("application/json", "{")).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(backend.request(post("text/plain", "hi")).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let large = Request::post("/api/tasks")
            .header("content-type", "application/json")
            .body(Body::from(format!("\"{}\"", "x".repeat(1 << 20))))
            .unwrap();
        let answer = backend.request(large).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    })
    .await;
}
