//! The canary: every few seconds a task of a reserved user goes the whole way (database, outbox, Kafka, consumer, database), and
//! `GET /data-path` on the management port says whether it arrived. Each replica has its own.

mod report;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, extract::State, routing::get};
use chrono::Utc;
use sqlx::{FromRow, PgPool};
use todo_common::{canary, database::Database, problem::Problem};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use report::{Observation, Report, Stage, Success};

/// Time from one canary to the next.
const PERIOD: Duration = Duration::from_secs(4);
/// A canary that has not arrived after this is given up and another is sent: what holds up one event need not hold up all.
const PATIENCE: Duration = Duration::from_secs(6);
/// Longest time for one statement.
const STATEMENT: Duration = Duration::from_secs(3);
/// Pauses between looks at a canary; the last one is repeated.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(40), Duration::from_millis(80), Duration::from_millis(160)];
/// Rows of canaries that are older than this were left by a replica that died, or could not be removed.
const LEFTOVER: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// What is known of the data path. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct DataPath(Arc<Mutex<Observation>>);

impl DataPath {
    /// `GET /data-path`, for the management port.
    pub(crate) fn router(&self, database: Database) -> Router {
        Router::new().route("/data-path", get(show)).with_state((self.clone(), database))
    }

    /// Sends canaries until `stop`.
    pub(crate) async fn run(self, database: Database, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let next = Instant::now() + PERIOD;
            stop.run_until_cancelled(Box::pin(self.round(&database))).await;
            stop.run_until_cancelled(tokio::time::sleep_until(next)).await;
        }
    }

    async fn round(&self, database: &Database) {
        let (pool, task_id) = match limited(send(database)).await {
            Ok(sent) => sent,
            Err(words) => return self.note(Stage::Database(words)),
        };
        let started = Instant::now();
        // When this is out of patience, the stage that was noted last says where the event is.
        if timeout(PATIENCE, self.watch(&pool, task_id)).await.is_ok() {
            let latency = started.elapsed();
            self.succeed(Success { at: Instant::now(), wall: Utc::now(), latency });
        }
        if let Err(error) = limited(purge(&pool, task_id)).await {
            tracing::warn!(error, "rows of a canary stay for a minute");
        }
    }

    /// Returns when the canary has arrived.
    async fn watch(&self, pool: &PgPool, task_id: Uuid) {
        let mut pauses = LOOKS.iter().chain(std::iter::repeat(&LOOKS[LOOKS.len() - 1]));
        loop {
            match limited(async { look(pool, task_id).await.map_err(Problem::from) }).await {
                Ok(Some(Progress { arrived: true, .. })) => return,
                Ok(Some(progress)) => self.note(progress.stage()),
                // Another replica took it for a leftover; it will not arrive.
                Ok(None) => return std::future::pending().await,
                Err(words) => self.note(Stage::Database(words)),
            }
            sleep(pauses.next().copied().unwrap_or(PERIOD)).await;
        }
    }

    fn note(&self, stage: Stage) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stage = stage;
    }

    fn succeed(&self, success: Success) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics::histogram!("data_path_latency_seconds").record(success.latency.as_secs_f64());
        metrics::gauge!("data_path_last_arrival_timestamp_seconds").set(since_epoch.as_secs_f64());
        let mut observation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        observation.stage = Stage::Idle;
        observation.last = Some(success);
    }
}

async fn show(State((path, database)): State<(DataPath, Database)>) -> Json<Report> {
    let observation = path.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Json(report::report(&observation, &database.state(), Instant::now()))
}

async fn send(database: &Database) -> Result<(PgPool, Uuid), Problem> {
    let pool = database.pool()?;
    let mut transaction = database.begin().await?;
    let task_id = canary::send(&mut transaction).await?;
    database.commit(transaction).await?;
    Ok((pool, task_id))
}

async fn purge(pool: &PgPool, task_id: Uuid) -> Result<(), Problem> {
    let mut transaction = pool.begin().await?;
    // A relay that waits for a hanging broker holds the row; the connection must not be held for as long.
    sqlx::query("SET LOCAL lock_timeout = '1s'").execute(&mut *transaction).await?;
    canary::purge(&mut transaction, task_id).await?;
    canary::purge_sent_before(&mut transaction, Utc::now() - LEFTOVER).await?;
    Ok(transaction.commit().await?)
}

/// Where a canary is.
#[derive(Debug, FromRow)]
struct Progress {
    arrived: bool,
    published: bool,
    last_error: Option<String>,
}

impl Progress {
    fn stage(self) -> Stage {
        if self.published { Stage::Consumer } else { Stage::Broker(self.last_error) }
    }
}

async fn look(pool: &PgPool, task_id: Uuid) -> Result<Option<Progress>, sqlx::Error> {
    // An event that the relay has removed was published. A broker that hangs fails the relay's call later than this canary is given
    // up, so the error may be that of an earlier event.
    sqlx::query_as(
        "SELECT canary.arrived_at IS NOT NULL AS arrived,
                outbox.id IS NULL OR outbox.published_at IS NOT NULL AS published,
                coalesce(outbox.last_error,
                    (SELECT waiting.last_error FROM outbox AS waiting
                     WHERE waiting.published_at IS NULL AND waiting.last_error IS NOT NULL ORDER BY waiting.seq LIMIT 1)
                ) AS last_error
         FROM canary LEFT JOIN outbox ON outbox.partition_key = canary.task_id::text
         WHERE canary.task_id = $1 LIMIT 1",
    )
    .bind(task_id)
    .fetch_optional(pool)
    .await
}

/// A database that hangs gives no error, so every use of it has a limit.
async fn limited<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, String> {
    match timeout(STATEMENT, work).await {
        Ok(result) => result.map_err(|problem| problem.sentence()),
        Err(_) => Err(format!("no answer within {} s", STATEMENT.as_secs())),
    }
}
