//! How long after a completion its next occurrence is there: API, outbox, sidecar, Kafka, sidecar, consumer, database.

use std::{fmt, time::Duration};

use futures::future::try_join_all;
use serde_json::json;
use sqlx::PgPool;
use todo_e2e::harness::{http::Http, until};
use tokio::time::{MissedTickBehavior, interval};

const EVENTS: u32 = 2000;
const PER_SECOND: u32 = 200;
/// Requests at the same time while tasks are made.
const TOGETHER: usize = 8;

/// The delays, in milliseconds.
pub(super) struct Delays {
    p50: f64,
    p99: f64,
    most: f64,
}

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, most } = self;
        write!(f, "{EVENTS} at {PER_SECOND}/s: p50 {p50:.0} ms, p99 {p99:.0} ms, most {most:.0} ms")
    }
}

/// Completes daily tasks at a fixed rate and reads the delays from the rows, whose times are of one machine's clock.
pub(super) async fn measure(backend: &Http, pool: &PgPool, user: &str) -> anyhow::Result<Delays> {
    let daily = json!({
        "user_id": user, "title": "stretch", "due_at": "2031-01-01T09:00:00Z", "recurrence": {"rrule": "FREQ=DAILY"},
    });
    let mut tasks = Vec::new();
    while tasks.len() < EVENTS as usize {
        let made = (0..TOGETHER).map(async |_| backend.post("/api/tasks", &daily).await?.expect(201));
        for answer in try_join_all(made).await? {
            tasks.push(answer.json()["id"].as_str().unwrap_or_default().to_owned());
        }
    }
    tasks.truncate(EVENTS as usize);
    let waiting = "SELECT count(*) FROM outbox WHERE topic = 'task-events' AND payload ->> 'user_id' = $1
        AND NOT EXISTS (SELECT FROM inbox WHERE event_id = outbox.id::text)";
    until("the events before are handled", Duration::from_mins(4), async || {
        let count: i64 = sqlx::query_scalar(waiting).bind(user).fetch_one(pool).await?;
        Ok((count == 0).then_some(()))
    })
    .await?;

    let mut ticks = interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (client, mut completions) = (reqwest::Client::new(), Vec::new());
    for task in tasks {
        ticks.tick().await;
        let url = backend.url(&format!("/api/tasks/{task}/complete?user_id={user}"));
        let completion = client.post(url).send();
        completions.push(tokio::spawn(async move { completion.await?.error_for_status() }));
    }
    for completion in completions {
        completion.await??;
    }
    let count = "SELECT count(*) FROM tasks WHERE spawned_by IS NOT NULL AND user_id = $1";
    until("every completion has its effect", Duration::from_mins(2), async || {
        let count: i64 = sqlx::query_scalar(count).bind(user).fetch_one(pool).await?;
        Ok((count == i64::from(EVENTS)).then_some(()))
    })
    .await?;
    let delays = "SELECT percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY delay) FROM (
        SELECT (extract(epoch FROM next.created_at - done.completed_at) * 1000)::float8 AS delay
        FROM tasks next JOIN tasks done ON done.id = next.spawned_by WHERE next.user_id = $1) AS delays";
    let delays: Vec<f64> = sqlx::query_scalar(delays).bind(user).fetch_one(pool).await?;
    let [p50, p99, most] = delays[..] else { anyhow::bail!("no delays") };
    Ok(Delays { p50, p99, most })
}
