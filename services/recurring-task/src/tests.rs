//! The routes, with a real database.

use axum::{Router, body::Body, http::Request};
use chrono::Utc;
use serde_json::{Value, json};
use sqlx::PgPool;
use todo_common::{
    canary,
    database::Database,
    server,
    tasks::{self, NewTask, Recurrence, Task, UserId},
    testing::{self, bulk, settings, statuses, with_database},
};
use tower::ServiceExt;
use uuid::Uuid;

use crate::router::router;

fn app(pool: &PgPool) -> Router {
    server::layered(router(&settings(), &Database::ready(pool.clone()), &testing::no_sidecar()))
}

async fn post(app: &Router, path: &str, body: &Value) -> Value {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .header("dapr-api-token", "token")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn completed(pool: &PgPool, recurrence: Option<&str>) -> Task {
    let new = NewTask {
        due_date: Some(Utc::now().date_naive()),
        recurrence: recurrence.map(|rule| Recurrence::Rrule(rule.to_owned())),
        ..NewTask::titled("Water the plants")
    };
    let ada = UserId::new("ada").unwrap();
    let mut c = pool.acquire().await.unwrap();
    let id = tasks::create(&mut c, &ada, new).await.unwrap().id;
    tasks::complete(&mut c, &ada, id, None).await.unwrap()
}

/// The newest event in the outbox, as Dapr delivers it.
async fn newest_event(pool: &PgPool) -> Value {
    let (id, payload): (Uuid, Value) =
        sqlx::query_as("SELECT id, payload FROM outbox ORDER BY seq DESC LIMIT 1").fetch_one(pool).await.unwrap();
    json!({"specversion": "1.0", "id": id, "type": "com.dapr.event.sent", "data": payload})
}

async fn open_tasks(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM tasks WHERE completed_at IS NULL").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_completion_that_comes_by_all_ways_creates_one_successor_with_its_event() {
    with_database(|pool| async move {
        let app = app(&pool);
        let task = completed(&pool, Some("FREQ=DAILY")).await;
        let event = newest_event(&pool).await;
        for _ in 0..2 {
            assert_eq!(post(&app, "/task-events", &event).await, json!({"status": "SUCCESS"}));
        }
        let answer = post(&app, "/process-completion", &serde_json::to_value(&task).unwrap()).await;
        assert_eq!(
            (&answer["status"], &answer["next_task"]["series_id"]),
            (&json!("already_created"), &json!(task.series_id))
        );
        assert_eq!(open_tasks(&pool).await, 1);
        let created = newest_event(&pool).await;
        assert_eq!(
            (&created["data"]["event_type"], &created["data"]["task_data"]["status"]),
            (&json!("created"), &json!("open"))
        );
    })
    .await;
}

#[tokio::test]
async fn process_completion_alone_does_the_same() {
    with_database(|pool| async move {
        let app = app(&pool);
        let task = completed(&pool, Some("FREQ=DAILY")).await;
        let event = newest_event(&pool).await;
        let answer = post(&app, "/process-completion", &event["data"]).await;
        assert_eq!(answer["status"], "processed");
        assert_ne!(answer["next_task"]["id"], json!(task.id));
        post(&app, "/task-events", &event).await;
        assert_eq!(open_tasks(&pool).await, 1);
    })
    .await;
}

#[tokio::test]
async fn other_completions_are_answered_truthfully() {
    with_database(|pool| async move {
        let app = app(&pool);
        let once = completed(&pool, None).await;
        let answer = post(&app, "/process-completion", &json!({"id": once.id})).await;
        assert_eq!(answer, json!({"status": "not_recurring", "next_task": null}));
        let daily = completed(&pool, Some("FREQ=DAILY")).await;
        tasks::reopen(&mut pool.acquire().await.unwrap(), &daily.user_id, daily.id, None).await.unwrap();
        assert_eq!(post(&app, "/process-completion", &json!({"id": daily.id})).await["status"], "not_completed");
        assert_eq!(post(&app, "/process-completion", &json!({"id": Uuid::now_v7()})).await["status"], 404);
        assert_eq!(post(&app, "/process-completion", &json!({"id": 7})).await["status"], 422);
    })
    .await;
}

#[tokio::test]
async fn the_canarys_event_is_marked_and_nothing_else() {
    with_database(|pool| async move {
        let app = app(&pool);
        let id = canary::send(&mut pool.acquire().await.unwrap()).await.unwrap();
        let event = newest_event(&pool).await;
        assert_eq!(post(&app, "/task-events", &event).await, json!({"status": "SUCCESS"}));
        assert!(canary::arrived_at(&pool, id).await.unwrap().is_some());
        let marks: i64 = sqlx::query_scalar("SELECT count(*) FROM inbox").fetch_one(&pool).await.unwrap();
        assert_eq!(marks, 0);
    })
    .await;
}

#[tokio::test]
async fn an_event_of_an_unknown_task_is_done_with_and_an_unreadable_one_is_dropped() {
    with_database(|pool| async move {
        let app = app(&pool);
        let unknown = json!({"event_type": "completed", "task_id": Uuid::now_v7(), "user_id": "ada",
            "timestamp": "2026-03-01T08:00:00", "task_data": {}});
        assert_eq!(post(&app, "/task-events", &unknown).await, json!({"status": "SUCCESS"}));
        let unreadable = json!({"event_type": "exploded", "task_id": 7});
        assert_eq!(post(&app, "/task-events", &unreadable).await, json!({"status": "DROP"}));
    })
    .await;
}

#[tokio::test]
async fn a_batch_with_an_event_twice_and_one_that_came_before_creates_each_successor_once() {
    with_database(|pool| async move {
        let app = app(&pool);
        let mut events = Vec::new();
        for rule in [Some("FREQ=DAILY"), Some("FREQ=WEEKLY"), None] {
            completed(&pool, rule).await;
            events.push(newest_event(&pool).await);
        }
        assert_eq!(post(&app, "/task-events", &events[0]).await, json!({"status": "SUCCESS"}));
        let created = newest_event(&pool).await;
        events.extend([events[1].clone(), created]);
        assert_eq!(statuses(&post(&app, "/task-events", &bulk(&events)).await), ["SUCCESS"; 5]);
        assert_eq!(open_tasks(&pool).await, 2);
        let told: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE payload ->> 'event_type' = 'created'")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(told, 5, "three tasks and two successors");
    })
    .await;
}

#[tokio::test]
async fn a_completion_that_the_database_refuses_does_not_hold_the_others_of_its_batch() {
    with_database(|pool| async move {
        let app = app(&pool);
        let poison = completed(&pool, Some("FREQ=DAILY")).await;
        let refuse = sqlx::AssertSqlSafe(format!("ALTER TABLE tasks ADD CHECK (spawned_by <> '{}')", poison.id));
        sqlx::query(refuse).execute(&pool).await.unwrap();
        let mut events = vec![newest_event(&pool).await];
        for _ in 0..3 {
            completed(&pool, Some("FREQ=DAILY")).await;
            events.push(newest_event(&pool).await);
        }
        // There is no sidecar that would take the dead letter.
        let expected = ["RETRY", "SUCCESS", "SUCCESS", "SUCCESS"];
        assert_eq!(statuses(&post(&app, "/task-events", &bulk(&events)).await), expected);
        assert_eq!(open_tasks(&pool).await, 3);
    })
    .await;
}

#[tokio::test]
async fn each_event_of_a_batch_keeps_its_own_trace_if_it_is_one() {
    with_database(|pool| async move {
        let app = app(&pool);
        let mut events = Vec::new();
        let trace = |digit: &str| format!("00-{}-00f067aa0ba902b7-01", digit.repeat(32));
        for (told, kept) in [(trace("1"), Some(trace("1"))), (trace("2"), Some(trace("2"))), (trace("x"), None)] {
            let task = completed(&pool, Some("FREQ=DAILY")).await;
            let mut event = newest_event(&pool).await;
            event["traceparent"] = json!(told);
            events.push((task.id, event, kept));
        }
        let posted: Vec<Value> = events.iter().map(|(_, event, _)| event.clone()).collect();
        post(&app, "/task-events", &bulk(&posted)).await;
        for (id, _, kept) in events {
            let trace: Option<String> = sqlx::query_scalar(
                "SELECT traceparent FROM outbox JOIN tasks ON tasks.id::text = partition_key WHERE spawned_by = $1",
            )
            .bind(id)
            .fetch_one(&pool)
            .await
            .unwrap();
            assert_eq!(trace, kept);
        }
    })
    .await;
}
