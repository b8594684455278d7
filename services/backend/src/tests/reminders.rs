//! The reminder tick and `/api/tasks/{id}/reminders`.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Backend, TOKEN, with_backend};
use crate::routes::{reminder_cron, reminder_job};

async fn tick(backend: &Backend) -> Value {
    let answer = backend.send_with(Method::POST, "/reminder-cron", &[("dapr-api-token", TOKEN)], Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

/// Payloads of the reminders in the outbox.
async fn on_their_way(backend: &Backend) -> Vec<Value> {
    let query = "SELECT payload FROM outbox WHERE topic = 'reminders' ORDER BY seq";
    sqlx::query_scalar(query).fetch_all(&backend.pool).await.unwrap()
}

fn due_in(minutes: i64) -> Value {
    json!({"user_id": "ada", "title": format!("due in {minutes}"), "due_at": Utc::now() + TimeDelta::minutes(minutes)})
}

#[tokio::test]
async fn a_tick_claims_what_is_due_in_the_window_and_what_is_overdue_once() {
    with_backend(async |backend| {
        let soon = backend.create(due_in(3)).await;
        let overdue = backend.create(due_in(-90)).await;
        backend.create(due_in(30)).await;
        let done = backend.create(due_in(1)).await;
        backend.post(&format!("/api/tasks/{done}/complete"), json!({"user_id": "ada"})).await;

        assert_eq!(tick(&backend).await, json!({"status": "checked", "due_tasks_count": 2}));
        assert_eq!(tick(&backend).await, json!({"status": "checked", "due_tasks_count": 0}));

        let events = on_their_way(&backend).await;
        let mut tasks: Vec<&str> = events.iter().map(|event| event["task_id"].as_str().unwrap()).collect();
        tasks.sort_unstable();
        let mut expected = [soon.as_str(), overdue.as_str()];
        expected.sort_unstable();
        assert_eq!(tasks, expected);
        assert_eq!((&events[0]["user_id"], &events[0]["notification_method"]), (&json!("ada"), &json!("push")));
        assert!(events[0]["reminder_id"].is_string());
    })
    .await;
}

#[tokio::test]
async fn the_backend_claims_without_a_tick() {
    with_backend(async |backend| {
        backend.create(due_in(3)).await;
        let running = tokio::spawn(reminder_cron::run(backend.app.clone()));
        while on_their_way(&backend).await.is_empty() {}
        backend.app.stop.cancel();
        running.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn ticks_of_two_replicas_at_once_send_each_reminder_once() {
    with_backend(async |backend| {
        for _ in 0..20 {
            backend.create(due_in(1)).await;
        }
        let (one, two) = tokio::join!(tick(&backend), tick(&backend));
        let total = one["due_tasks_count"].as_u64().unwrap() + two["due_tasks_count"].as_u64().unwrap();
        assert_eq!(total, 20);
        assert_eq!(on_their_way(&backend).await.len(), 20);
    })
    .await;
}

#[tokio::test]
async fn more_than_one_batch_is_claimed_by_one_tick() {
    with_backend(async |backend| {
        let task = backend.create(due_in(600)).await.parse::<Uuid>().unwrap();
        let many = "INSERT INTO task_reminders (id, task_id, remind_at)
                    SELECT gen_random_uuid(), $1, now() - make_interval(secs => n) FROM generate_series(1, 450) AS n";
        sqlx::query(many).bind(task).execute(&backend.pool).await.unwrap();
        assert_eq!(tick(&backend).await["due_tasks_count"], 450);
    })
    .await;
}

#[tokio::test]
async fn reminders_are_shown_added_and_replaced() {
    with_backend(async |backend| {
        let id = backend.create(due_in(600)).await;
        let path = format!("/api/tasks/{id}/reminders");
        let shown = backend.get(&format!("{path}?user_id=ada")).await.body;
        assert_eq!(shown["items"].as_array().unwrap().len(), 1);
        assert_eq!(shown["items"][0]["claimed_at"], Value::Null);

        let added = backend.post(&path, json!({"user_id": "ada", "before_minutes": 10})).await;
        assert_eq!((added.status, added.body["items"].as_array().unwrap().len()), (StatusCode::CREATED, 1));
        let two = json!({"user_id": "ada", "reminders": [{"before_minutes": 10}, {"before_minutes": 60}]});
        let replaced = backend.send(Method::PUT, &path, two).await.body;
        assert_eq!(replaced["items"].as_array().unwrap().len(), 2);
        assert_eq!(backend.get(&format!("{path}?user_id=bob")).await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn reminders_that_are_added_at_once_are_all_added() {
    with_backend(async |backend| {
        let id = backend.create(due_in(60)).await;
        let path = format!("/api/tasks/{id}/reminders");
        let mut somebody = backend.pool.begin().await.unwrap();
        let lock = "SELECT FROM tasks WHERE id = $1 FOR UPDATE";
        sqlx::query(lock).bind(id.parse::<Uuid>().unwrap()).execute(&mut *somebody).await.unwrap();
        let add = async |minutes: u32| backend.post(&path, json!({"user_id": "ada", "before_minutes": minutes})).await;
        let both_wait = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            somebody.rollback().await.unwrap();
        };
        let (one, two, ()) = tokio::join!(add(10), add(20), both_wait);
        assert_eq!((one.status, two.status), (StatusCode::CREATED, StatusCode::CREATED));
        let listed = backend.get(&format!("{path}?user_id=ada")).await.body;
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);

        let old = [("if-match", "\"1\"")];
        let body = json!({"user_id": "ada", "before_minutes": 30});
        let stale = backend.send_with(Method::POST, &path, &old, body).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    })
    .await;
}

#[tokio::test]
async fn the_job_claims_what_is_due_for_the_sidecar_alone() {
    with_backend(async |backend| {
        let task = backend.create(due_in(3)).await;
        backend.create(due_in(30)).await;
        let job = "/job/next-reminder";
        let refused = backend.send(Method::POST, job, Value::Null).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
        for count in [1, 0] {
            let body = json!({"dueTime": "now"});
            let answer = backend.send_with(Method::POST, job, &[("dapr-api-token", TOKEN)], body).await;
            assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({"due_tasks_count": count})));
        }
        let events = on_their_way(&backend).await;
        assert_eq!((events.len(), &events[0]["task_id"]), (1, &json!(task)));
    })
    .await;
}

/// When the jobs are due that were set, as soon as there are `count`.
async fn moments_of_jobs(backend: &Backend, count: usize) -> Vec<DateTime<Utc>> {
    let set = async {
        while backend.sidecar.jobs().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), set).await.unwrap();
    let moment = |(name, job): (String, Value)| {
        assert_eq!((name.as_str(), &job["overwrite"]), ("next-reminder", &json!(true)));
        job["dueTime"].as_str().unwrap().parse().unwrap()
    };
    backend.sidecar.jobs().into_iter().map(moment).collect()
}

#[tokio::test]
async fn the_job_is_set_to_the_next_reminder_of_a_person_that_nobody_has_claimed() {
    with_backend(async |backend| {
        let at = |minutes| (Utc::now() + TimeDelta::minutes(minutes)).trunc_subsecs(0);
        let (soon, later) = (at(60), at(120));
        let due = |at| json!({"user_id": "ada", "title": "a", "due_at": at});
        let next = backend.create(due(soon)).await;
        backend.create(due(later)).await;
        let done = backend.create(due(at(20))).await;
        backend.post(&format!("/api/tasks/{done}/complete"), json!({"user_id": "ada"})).await;
        let of_the_canary = backend.create(due(at(10))).await.parse::<Uuid>().unwrap();
        let reserved = "UPDATE tasks SET user_id = '$canary' WHERE id = $1";
        sqlx::query(reserved).bind(of_the_canary).execute(&backend.pool).await.unwrap();

        let running = tokio::spawn(reminder_job::run(backend.app.clone()));
        assert_eq!(moments_of_jobs(&backend, 1).await, [soon]);
        backend.send(Method::DELETE, &format!("/api/tasks/{next}?user_id=ada"), Value::Null).await;
        assert_eq!(moments_of_jobs(&backend, 2).await, [soon, later]);
        backend.app.stop.cancel();
        running.await.unwrap();
    })
    .await;
}
