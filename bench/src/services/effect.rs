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

/// The delays, in milliseconds: p50, p99 and the longest.
pub(super) struct Delays {
    whole: [f64; 3],
    /// Of its parts, which do not add up, as each has its own order.
    parts: [(&'static str, [f64; 3]); 3],
}

impl Delays {
    pub(super) fn p99(&self) -> f64 {
        self.whole[1]
    }
}

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = |[p50, p99, most]: [f64; 3]| format!("p50 {p50:.0} ms, p99 {p99:.0} ms, most {most:.0} ms");
        write!(f, "{EVENTS} at {PER_SECOND}/s: {}", figures(self.whole))?;
        self.parts.iter().try_for_each(|(what, part)| write!(f, "\n- {what}: {}", figures(*part)))
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
    all_handled(pool, user).await?;

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
    let delays = async |from: &str, to: &str| between(pool, user, from, to).await;
    Ok(Delays {
        whole: delays("done.completed_at", "next.created_at").await?,
        parts: [
            ("until the broker has it", delays("done.completed_at", "event.published_at").await?),
            ("until its consumer begins", delays("event.published_at", "mark.received_at").await?),
            ("until its effect", delays("mark.received_at", "next.created_at").await?),
        ],
    })
}

/// Waits until the events of this user's tasks are published and handled.
pub(super) async fn all_handled(pool: &PgPool, user: &str) -> anyhow::Result<()> {
    const WAITING: &str = "SELECT count(*) FROM outbox WHERE topic = 'task-events' AND payload ->> 'user_id' = $1
        AND NOT EXISTS (SELECT FROM inbox WHERE event_id = outbox.id::text)";
    until("the events before are handled", Duration::from_mins(4), async || {
        let count: i64 = sqlx::query_scalar(WAITING).bind(user).fetch_one(pool).await?;
        Ok((count == 0).then_some(()))
    })
    .await
}

/// From one moment in the life of a completion to another.
async fn between(pool: &PgPool, user: &str, from: &str, to: &str) -> anyhow::Result<[f64; 3]> {
    let delays = format!(
        "SELECT percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY (extract(epoch FROM {to} - {from}) * 1000)::float8)
         FROM tasks next JOIN tasks done ON done.id = next.spawned_by
         JOIN outbox event ON event.partition_key = done.id::text AND event.payload ->> 'event_type' = 'completed'
         JOIN inbox mark ON mark.event_id = event.id::text
         WHERE next.user_id = $1"
    );
    // The names of columns are written in this file.
    let delays: Vec<f64> = sqlx::query_scalar(sqlx::AssertSqlSafe(delays)).bind(user).fetch_one(pool).await?;
    delays.try_into().map_err(|_| anyhow::anyhow!("no delays"))
}
