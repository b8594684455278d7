//! The routes, with a real database.

mod batches;
mod channels;
mod contract;
mod deliveries;
mod encrypted;
mod idempotency;
mod judges;
mod receiver;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use chrono_tz::Europe::Berlin;
use serde_json::{Value, json};
use sqlx::PgPool;
use todo_common::{
    database::Database,
    server,
    tasks::{self, NewTask, Task, TaskPatch, UserId},
    testing::{self, settings, with_database},
};
use tower::ServiceExt;
use uuid::Uuid;

use crate::router::{App, router};

fn app(database: &Database) -> Router {
    app_with(database, Arc::default())
}

fn app_with(database: &Database, channels: Arc<crate::settings::Settings>) -> Router {
    server::layered(router(
        &settings(),
        &App { database: database.clone(), dapr: testing::no_sidecar(), settings: channels },
    ))
}

async fn call(app: &Router, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("dapr-api-token", "token")
        .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn shown(app: &Router) -> Vec<Value> {
    let (status, page) = call(app, "GET", "/api/notifications?user_id=ada", Value::Null).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

/// A task of ada that is due at `due_at`, and its reminder.
async fn task(pool: &PgPool, due_at: DateTime<Utc>) -> (Task, Uuid) {
    let new = NewTask { due_at: Some(due_at), ..NewTask::titled("Buy groceries") };
    let ada = UserId::new("ada").unwrap();
    let task = tasks::create(&mut pool.acquire().await.unwrap(), &ada, new).await.unwrap();
    let reminder = sqlx::query_scalar("UPDATE task_reminders SET claimed_at = now() WHERE task_id = $1 RETURNING id");
    let reminder = reminder.bind(task.id).fetch_one(pool).await.unwrap();
    (task, reminder)
}

fn event(id: &str, task: &Task, reminder: Uuid) -> Value {
    json!({"specversion": "1.0", "id": id, "data": {
        "task_id": task.id, "user_id": "ada", "title": "an older title", "due_at": task.due_at, "remind_at": task.due_at,
        "notification_method": "push", "reminder_id": reminder,
    }})
}

/// The ids and payloads of the dead letters.
async fn kept(pool: &PgPool) -> Vec<(String, Value)> {
    sqlx::query_as("SELECT id, payload FROM dead_letters ORDER BY id").fetch_all(pool).await.unwrap()
}

fn minutes(minutes: i64) -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3) + TimeDelta::minutes(minutes)
}

#[tokio::test]
async fn a_reminder_is_stored_once_and_shown_at_once_when_it_is_overdue() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, reminder) = task(&pool, minutes(-60)).await;
        // Redelivered, and published twice under another id.
        for id in ["e1", "e1", "e2"] {
            let (_, reply) = call(&app, "POST", "/reminders", event(id, &task, reminder)).await;
            assert_eq!(reply, json!({"status": "SUCCESS"}));
        }
        let shown = shown(&app).await;
        assert_eq!(shown.len(), 1);
        assert_eq!((&shown[0]["title"], &shown[0]["task_id"]), (&json!("Buy groceries"), &json!(task.id)));
        assert!(shown[0].get("visible_at").is_none());
    })
    .await;
}

#[tokio::test]
async fn a_reminder_is_not_shown_before_its_time() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, reminder) = task(&pool, minutes(5)).await;
        call(&app, "POST", "/reminders", event("e1", &task, reminder)).await;
        assert!(shown(&app).await.is_empty());
        sqlx::query("UPDATE notifications SET visible_at = visible_at - interval '6 minutes'")
            .execute(&pool)
            .await
            .unwrap();
        assert_eq!(shown(&app).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_that_waits_says_what_its_task_is_when_its_time_comes() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let due = minutes(5);
        let (task, reminder) = task(&pool, due).await;
        call(&app, "POST", "/reminders", event("e1", &task, reminder)).await;
        let change = async |title: &str| {
            let zone = Some("Europe/Berlin".to_owned());
            let patch = TaskPatch { title: Some(title.to_owned()), time_zone: zone, ..TaskPatch::default() };
            let ada = UserId::new("ada").unwrap();
            tasks::update(&mut pool.acquire().await.unwrap(), &ada, task.id, None, patch).await.unwrap();
        };
        change("Buy bread").await;
        let told = "UPDATE notifications SET visible_at = visible_at - interval '6 minutes'";
        sqlx::query(told).execute(&pool).await.unwrap();
        // What was told already stays as it was told.
        change("Buy wine").await;
        let shown = shown(&app).await;
        let message = format!("Due {} (Europe/Berlin)", due.with_timezone(&Berlin).format("%Y-%m-%d %H:%M"));
        assert_eq!((&shown[0]["title"], &shown[0]["message"]), (&json!("Buy bread"), &json!(message)));
        assert_eq!(shown.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_of_a_task_that_was_done_or_moved_is_not_stored() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let ada = UserId::new("ada").unwrap();
        let (done, done_reminder) = task(&pool, minutes(-1)).await;
        let (moved, moved_reminder) = task(&pool, minutes(-1)).await;
        let mut c = pool.acquire().await.unwrap();
        tasks::complete(&mut c, &ada, done.id, None).await.unwrap();
        let patch = TaskPatch { due_at: Some(Some(minutes(60))), ..TaskPatch::default() };
        tasks::update(&mut c, &ada, moved.id, None, patch).await.unwrap();
        for (id, task, reminder) in [("e1", &done, done_reminder), ("e2", &moved, moved_reminder)] {
            let (_, reply) = call(&app, "POST", "/reminders", event(id, task, reminder)).await;
            assert_eq!(reply, json!({"status": "SUCCESS"}));
        }
        assert!(shown(&app).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_specifications_reminder_needs_no_id() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, _) = task(&pool, minutes(-1)).await;
        let bare = json!({"task_id": task.id, "user_id": "ada", "title": "a", "due_at": "2026-03-01T09:00:00",
            "remind_at": "2026-03-01T08:55:00.123456", "notification_method": "push"});
        for _ in 0..2 {
            assert_eq!(call(&app, "POST", "/reminders", bare.clone()).await.1, json!({"status": "SUCCESS"}));
        }
        assert_eq!(shown(&app).await.len(), 1);
    })
    .await;
}

/// As another publisher says it, who knows of no row of ours.
fn foreign(task: &Task, remind_at: DateTime<Utc>) -> Value {
    json!({"task_id": task.id, "user_id": "ada", "title": "a", "due_at": task.due_at, "remind_at": remind_at,
        "notification_method": "push"})
}

async fn stored(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notifications").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_reminder_without_an_id_is_taken_back_with_its_task_like_any_other() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, _) = task(&pool, minutes(60)).await;
        call(&app, "POST", "/reminders", foreign(&task, minutes(10))).await;
        assert_eq!(stored(&pool).await, 1);
        let mut c = pool.acquire().await.unwrap();
        tasks::complete(&mut c, &UserId::new("ada").unwrap(), task.id, None).await.unwrap();
        assert_eq!(stored(&pool).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_without_an_id_is_the_tasks_own_at_the_same_time() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, reminder) = task(&pool, minutes(-1)).await;
        call(&app, "POST", "/reminders", foreign(&task, task.due_at.unwrap())).await;
        call(&app, "POST", "/reminders", event("e1", &task, reminder)).await;
        assert_eq!(shown(&app).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_another_publisher_reminds_of_is_not_claimed_once_more() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, _) = task(&pool, minutes(-1)).await;
        sqlx::query("UPDATE task_reminders SET claimed_at = NULL").execute(&pool).await.unwrap();
        let events = [("e1", minutes(-5)), ("e2", task.due_at.unwrap()), ("e3", minutes(-5))]
            .map(|(id, time)| json!({"specversion": "1.0", "id": id, "data": foreign(&task, time)}));
        let (_, answer) = call(&app, "POST", "/reminders", testing::bulk(&events)).await;
        assert_eq!(testing::statuses(&answer), ["SUCCESS"; 3]);
        assert_eq!(shown(&app).await.len(), 2);
        let unclaimed = "SELECT count(*) FROM task_reminders WHERE claimed_at IS NULL";
        assert_eq!(sqlx::query_scalar::<_, i64>(unclaimed).fetch_one(&pool).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_handled_is_dropped_and_its_dead_letter_is_kept_once() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let poison = json!({"specversion": "1.0", "id": "e1", "data": {"task_id": 7}});
        assert_eq!(call(&app, "POST", "/reminders", poison.clone()).await.1, json!({"status": "DROP"}));
        for _ in 0..2 {
            assert_eq!(call(&app, "POST", "/dead-letters", poison.clone()).await.1, json!({"status": "SUCCESS"}));
        }
        let kept: Vec<(String, String, Value)> =
            sqlx::query_as("SELECT id, topic, payload FROM dead_letters").fetch_all(&pool).await.unwrap();
        assert_eq!(kept, [("e1".to_owned(), "reminders".to_owned(), json!({"task_id": 7}))]);
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_that_can_be_handled_by_now_is_handled_and_not_kept() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, reminder) = task(&pool, minutes(-1)).await;
        let (_, reply) = call(&app, "POST", "/dead-letters", event("e1", &task, reminder)).await;
        assert_eq!(reply, json!({"status": "SUCCESS"}));
        assert_eq!(shown(&app).await.len(), 1);
        assert_eq!(kept(&pool).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_tried_again_while_the_database_is_away() {
    let app = app(&Database::new());
    let reminder =
        json!({"task_id": Uuid::now_v7(), "user_id": "ada", "title": "a", "remind_at": "2026-03-01T08:00:00Z"});
    for letter in [reminder, json!({"task_id": 7})] {
        assert_eq!(call(&app, "POST", "/dead-letters", letter).await.1, json!({"status": "RETRY"}));
    }
}

#[tokio::test]
async fn every_dead_letter_can_be_kept() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let zero = json!({"specversion": "1.0", "id": "e1", "data": {"title": "a\u{0}b"}});
        let wrong_id = json!({"specversion": "1.0", "id": "e\u{0}2", "data": {"task_id": 7}});
        let large = json!({"specversion": "1.0", "id": "e3", "data": {"title": "x".repeat(4 << 20)}});
        for letter in [zero, wrong_id, large] {
            assert_eq!(call(&app, "POST", "/dead-letters", letter).await.1, json!({"status": "SUCCESS"}));
        }
        let kept = kept(&pool).await;
        assert_eq!(kept.len(), 3);
        assert!(kept.iter().any(|(_, payload)| payload.as_str().is_some_and(|text| text.contains("a\\u0000b"))));
    })
    .await;
}

#[tokio::test]
async fn a_canarys_dead_letter_is_not_kept() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let canary = json!({"specversion": "1.0", "id": "e1", "data": {"task_id": 7, "user_id": "$canary"}});
        assert_eq!(call(&app, "POST", "/dead-letters", canary).await.1, json!({"status": "SUCCESS"}));
        assert_eq!(kept(&pool).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_of_a_task_that_is_being_moved_waits_for_that() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let (task, reminder) = task(&pool, minutes(-1)).await;
        let mut moving = pool.begin().await.unwrap();
        let patch = TaskPatch { due_at: Some(Some(minutes(60))), ..TaskPatch::default() };
        tasks::update(&mut moving, &UserId::new("ada").unwrap(), task.id, None, patch).await.unwrap();
        let mover: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *moving).await.unwrap();
        let receiving = async { call(&app, "POST", "/reminders", event("e1", &task, reminder)).await.1 };
        let commit = async {
            let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))";
            while !sqlx::query_scalar::<_, bool>(waits).bind(mover).fetch_one(&pool).await.unwrap() {}
            moving.commit().await.unwrap();
        };
        let (reply, ()) = tokio::join!(receiving, commit);
        assert_eq!(reply, json!({"status": "SUCCESS"}));
        assert_eq!(stored(&pool).await, 0);
    })
    .await;
}

#[tokio::test]
async fn without_a_database_an_event_is_tried_again() {
    let app = app(&Database::new());
    let reminder =
        json!({"task_id": Uuid::now_v7(), "user_id": "ada", "title": "a", "remind_at": "2026-03-01T08:00:00Z"});
    assert_eq!(call(&app, "POST", "/reminders", reminder).await.1, json!({"status": "RETRY"}));
    assert_eq!(call(&app, "GET", "/api/notifications?user_id=ada", Value::Null).await.0, 503);
}

#[tokio::test]
async fn a_sent_notification_is_listed_newest_first_and_can_be_read() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool));
        for message in ["one", "two", "three"] {
            let (status, sent) =
                call(&app, "POST", "/send-notification", json!({"user_id": "ada", "message": message})).await;
            assert_eq!((status.as_u16(), &sent["message"]), (200, &json!(message)));
        }
        let (_, page) = call(&app, "GET", "/api/notifications?user_id=ada&limit=2", Value::Null).await;
        let messages: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["message"].clone()).collect();
        assert_eq!(messages, ["three", "two"]);
        let next = format!("/api/notifications?user_id=ada&limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
        let (_, rest) = call(&app, "GET", &next, Value::Null).await;
        assert_eq!((&rest["items"][0]["message"], &rest["next_cursor"]), (&json!("one"), &Value::Null));

        let path = format!("/api/notifications/{}/read", rest["items"][0]["id"].as_str().unwrap());
        assert_eq!(call(&app, "POST", &path, json!({"user_id": "bob"})).await.0, 404);
        assert!(call(&app, "POST", &path, json!({"user_id": "ada"})).await.1["read_at"].is_string());
        let (_, unread) = call(&app, "GET", "/api/notifications?user_id=ada&unread=true", Value::Null).await;
        assert_eq!(unread["items"].as_array().unwrap().len(), 2);
        assert_eq!(call(&app, "GET", "/api/notifications?user_id=ada&cursor=x", Value::Null).await.0, 422);
        assert_eq!(call(&app, "GET", "/api/notifications", Value::Null).await.0, 422);
    })
    .await;
}

#[tokio::test]
async fn all_are_read_at_once_up_to_the_newest_that_was_seen() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let send = async |user: &str, message: &str| {
            let message = json!({"user_id": user, "message": message});
            call(&app, "POST", "/send-notification", message).await.1["id"].clone()
        };
        let unread = async |user: &str| {
            let path = format!("/api/notifications/unread?user_id={user}");
            call(&app, "GET", &path, Value::Null).await.1["count"].clone()
        };
        let read_all = async |body: Value| call(&app, "POST", "/api/notifications/read-all", body).await;
        let (first, seen) = (send("ada", "one").await, send("ada", "two").await);
        let (_, of_others) = (send("ada", "three").await, send("bob", "four").await);
        // What is not to be seen yet is neither counted nor read.
        let (task, reminder) = task(&pool, minutes(5)).await;
        call(&app, "POST", "/reminders", event("e1", &task, reminder)).await;
        assert_eq!(unread("ada").await, 3);

        let path = format!("/api/notifications/{}/read", first.as_str().unwrap());
        let first_read = call(&app, "POST", &path, json!({"user_id": "ada"})).await.1["read_at"].clone();
        assert_eq!(unread("ada").await, 2);
        let (status, marked) = read_all(json!({"user_id": "ada", "newest": seen})).await;
        assert_eq!((status.as_u16(), marked), (200, json!({"count": 1})));
        assert_eq!(unread("ada").await, 1);
        assert_eq!(read_all(json!({"user_id": "ada", "newest": of_others})).await.0, 404);
        assert_eq!(read_all(json!(["ada", null])).await.0, 400, "a list is no body");
        assert_eq!(read_all(json!({"user_id": "ada", "newest": 7})).await.0, 422);
        assert_eq!(read_all(json!({"user_id": "ada"})).await.1, json!({"count": 1}));
        assert_eq!((unread("ada").await, unread("bob").await), (json!(0), json!(1)));
        let read: Vec<_> = shown(&app).await.iter().map(|item| item["read_at"].clone()).collect();
        assert!(read.len() == 3 && read.iter().all(Value::is_string), "{read:?}");
        assert_eq!(read[2], first_read, "when it was first read stays");
        let waits = "SELECT count(*) FROM notifications WHERE visible_at > now() AND read_at IS NULL";
        assert_eq!(sqlx::query_scalar::<_, i64>(waits).fetch_one(&pool).await.unwrap(), 1);

        let path = "/api/notifications/read-all?user_id=bob";
        assert_eq!(call(&app, "POST", path, Value::Null).await.1, json!({"count": 1}));
        assert_eq!(call(&app, "GET", "/api/notifications/unread", Value::Null).await.0, 422);
    })
    .await;
}

#[tokio::test]
async fn dapr_is_told_what_to_deliver_where() {
    let (_, answer) = call(&app(&Database::new()), "GET", "/dapr/subscribe", Value::Null).await;
    assert_eq!(
        answer,
        json!([
            {"pubsubname": "kafka-pubsub", "topic": "reminders", "route": "/reminders", "deadLetterTopic": "reminders-dead",
             "bulkSubscribe": {"enabled": true, "maxMessagesCount": 100, "maxAwaitDurationMs": 10}},
            {"pubsubname": "kafka-pubsub", "topic": "reminders-dead", "route": "/dead-letters",
             "metadata": {"rawPayload": "true"}},
        ])
    );
}
