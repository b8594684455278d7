//! The canary against a real database; the test is its relay and its consumer.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use serde_json::Value;
use todo_common::canary;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use super::fixture::{Backend, with_backend};
use crate::data_path::DataPath;

/// Longest wait for one stage. A canary has its own patience, after which another takes its place and what the test waits for does not
/// come any more.
const LIMIT: Duration = Duration::from_secs(30);

async fn report(backend: &Backend, path: &DataPath) -> Value {
    let router = path.router(backend.app.database.clone());
    let response = router.oneshot(Request::get("/data-path").body(Body::empty()).unwrap()).await.unwrap();
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 16).await.unwrap()).unwrap()
}

/// The report as soon as `expected` says so.
async fn until(backend: &Backend, path: &DataPath, expected: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = timeout(LIMIT, async {
        loop {
            last = report(backend, path).await;
            if expected(&last) {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(found.await.is_ok(), "not within {}s; the last report: {last}", LIMIT.as_secs());
    last
}

fn says(report: &Value, words: &str) -> bool {
    report["message"].as_str().unwrap().contains(words)
}

#[tokio::test]
async fn a_canary_is_followed_through_its_stages_and_leaves_nothing_behind() {
    with_backend(async |backend| {
        let (path, stop) = (DataPath::default(), CancellationToken::new());
        let running = tokio::spawn(path.clone().run(backend.app.database.clone(), stop.clone()));

        let waiting = until(&backend, &path, |report| says(report, "not published yet")).await;
        assert_eq!((&waiting["verified"], &waiting["reason"]), (&Value::Bool(false), &"Starting".into()));
        sqlx::query("UPDATE outbox SET last_error = 'broker away', attempts = 1").execute(&backend.pool).await.unwrap();
        until(&backend, &path, |report| says(report, "Kafka does not take it: broker away")).await;
        sqlx::query("UPDATE outbox SET published_at = now()").execute(&backend.pool).await.unwrap();
        until(&backend, &path, |report| says(report, "published but not consumed yet")).await;

        let mut consumer = backend.pool.acquire().await.unwrap();
        // Others may have followed it by now, and what it waits for is said of the oldest.
        let id: Uuid = sqlx::query_scalar("SELECT task_id FROM canary ORDER BY sent_at LIMIT 1")
            .fetch_one(&mut *consumer)
            .await
            .unwrap();
        canary::mark_arrived(&mut consumer, &[id]).await.unwrap();
        let done = until(&backend, &path, |report| report["verified"] == true).await;
        assert_eq!(done["reason"], "Verified");
        assert!(done["age_seconds"].as_f64().is_some_and(|age| age < LIMIT.as_secs_f64()), "{done}");
        assert!(done["latency_ms"].is_u64() && done["checked_at"].is_string());

        is_gone(&backend, id).await;
        stop.cancel();
        running.await.unwrap();
    })
    .await;
}

/// Waits until nothing is left of a canary.
async fn is_gone(backend: &Backend, id: Uuid) {
    let rows = "SELECT (SELECT count(*) FROM canary WHERE task_id = $1) + (SELECT count(*) FROM tasks WHERE id = $1)
                    + (SELECT count(*) FROM outbox WHERE partition_key = $1::text)";
    let gone = timeout(LIMIT, async {
        while sqlx::query_scalar::<_, i64>(rows).bind(id).fetch_one(&backend.pool).await.unwrap() > 0 {}
    });
    assert!(gone.await.is_ok(), "the canary's rows are still there");
}

#[tokio::test]
async fn rows_of_a_canary_that_cannot_be_removed_at_once_are_removed_with_those_of_the_next() {
    with_backend(async |backend| {
        let (path, stop) = (DataPath::default(), CancellationToken::new());
        let running = tokio::spawn(path.clone().run(backend.app.database.clone(), stop.clone()));
        until(&backend, &path, |report| says(report, "not published yet")).await;

        // As a relay that waits for its broker.
        let mut relay = backend.pool.begin().await.unwrap();
        let id: Uuid = sqlx::query_scalar("SELECT partition_key::uuid FROM outbox ORDER BY seq LIMIT 1 FOR UPDATE")
            .fetch_one(&mut *relay)
            .await
            .unwrap();
        let relay_id: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *relay).await.unwrap();
        canary::mark_arrived(&mut backend.pool.acquire().await.unwrap(), &[id]).await.unwrap();
        for is_waiting in [true, false] {
            let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))";
            let seen = timeout(LIMIT, async {
                let read = || sqlx::query_scalar::<_, bool>(waits).bind(relay_id).fetch_one(&backend.pool);
                while read().await.unwrap() != is_waiting {}
            });
            assert!(seen.await.is_ok(), "somebody waits for the relay: {}", !is_waiting);
        }
        relay.rollback().await.unwrap();
        is_gone(&backend, id).await;
        stop.cancel();
        running.await.unwrap();
    })
    .await;
}
