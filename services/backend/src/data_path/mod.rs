//! The canary: every few seconds a task of a reserved user goes the whole way (database, outbox, Kafka, consumer, database), and
//! `GET /data-path` on the management port says whether it arrived. Each replica has its own.

mod report;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, extract::State, routing::get};
use chrono::Utc;
use sqlx::{FromRow, PgPool};
use todo_common::{
    canary,
    database::{self, Database},
    problem::Problem,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use report::{FRESH, Observation, Report, Stage, Success};

/// Time from one canary to the next, whether it has arrived or not: what holds up one event need not hold up all.
const PERIOD: Duration = Duration::from_secs(4);
/// Longest time for one statement.
const STATEMENT: Duration = Duration::from_secs(3);
/// Pauses between looks at a canary; the last one is repeated.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(40), Duration::from_millis(80), Duration::from_millis(160)];
/// Rows of canaries that are older than this were left by a replica that died.
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
        // For an outage from the start: the series of arrivals begins with its end.
        set_now("data_path_started_timestamp_seconds");
        let mut canaries = Canaries::default();
        while !stop.is_cancelled() {
            let next = Instant::now() + PERIOD;
            stop.run_until_cancelled(Box::pin(self.round(&database, &mut canaries, next))).await;
            stop.run_until_cancelled(tokio::time::sleep_until(next)).await;
        }
    }

    /// Sends one, and looks until all have arrived or it is time for the next.
    async fn round(&self, database: &Database, canaries: &mut Canaries, next: Instant) {
        let (at, Canaries { under_way, ended }) = (Instant::now(), canaries);
        match limited(send(database)).await {
            Ok(task_id) => under_way.push(Sent { task_id, at }),
            Err(words) => self.note(Stage::Database(words)),
        }
        let Ok(pool) = database.pool() else { return };
        ended.extend(self.watch(&pool, under_way, next).await);
        let too_old = under_way.extract_if(.., |sent| sent.at.elapsed() > FRESH);
        ended.extend(too_old.map(|sent| sent.task_id));
        match limited(purge(&pool, ended)).await {
            Ok(()) => ended.clear(),
            Err(error) => tracing::warn!(error, "rows of a canary cannot be removed yet"),
        }
    }

    /// Gives those that have arrived, which are not under way any more.
    async fn watch(&self, pool: &PgPool, under_way: &mut Vec<Sent>, next: Instant) -> Vec<Uuid> {
        let mut pauses = LOOKS.iter().chain(std::iter::repeat(&LOOKS[LOOKS.len() - 1]));
        let mut arrived = Vec::new();
        while !under_way.is_empty() && Instant::now() < next {
            match limited(async { look(pool, under_way).await.map_err(Problem::from) }).await {
                Ok(progress) => arrived.extend(self.take(under_way, progress)),
                Err(words) => self.note(Stage::Database(words)),
            }
            if !under_way.is_empty() {
                sleep(pauses.next().copied().unwrap_or(PERIOD)).await;
            }
        }
        arrived
    }

    /// Takes what has arrived from those under way. One without a row another replica took for a leftover; it will not arrive.
    fn take(&self, under_way: &mut Vec<Sent>, progress: Vec<Progress>) -> Vec<Uuid> {
        let mut progress: HashMap<Uuid, Progress> = progress.into_iter().map(|one| (one.task_id, one)).collect();
        let mut arrived = Vec::new();
        let mut oldest = None;
        under_way.retain(|sent| match progress.remove(&sent.task_id) {
            Some(Progress { arrived: true, .. }) => {
                self.succeed(sent.at);
                arrived.push(sent.task_id);
                false
            }
            Some(waiting) => {
                oldest.get_or_insert_with(|| waiting.stage());
                true
            }
            None => false,
        });
        self.note(oldest.unwrap_or(Stage::Idle));
        arrived
    }

    fn note(&self, stage: Stage) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stage = stage;
    }

    fn succeed(&self, sent: Instant) {
        let (now, latency) = (Instant::now(), sent.elapsed());
        metrics::histogram!("data_path_latency_seconds").record(latency.as_secs_f64());
        set_now("data_path_last_arrival_timestamp_seconds");
        let mut observation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        observation.arrived(Success { sent, wall: Utc::now(), latency }, now);
    }
}

fn set_now(gauge: &'static str) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!(gauge).set(since_epoch.as_secs_f64());
}

/// The canaries of this replica.
#[derive(Default)]
struct Canaries {
    under_way: Vec<Sent>,
    /// Those whose rows are left to be removed.
    ended: Vec<Uuid>,
}

/// A canary that is under way.
struct Sent {
    task_id: Uuid,
    at: Instant,
}

async fn show(State((path, database)): State<(DataPath, Database)>) -> Json<Report> {
    let observation = path.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Json(report::report(&observation, &database.state(), Instant::now()))
}

async fn send(database: &Database) -> Result<Uuid, Problem> {
    let mut transaction = database.begin().await?;
    let task_id = canary::send(&mut transaction).await?;
    database.commit(transaction).await?;
    Ok(task_id)
}

async fn purge(pool: &PgPool, ended: &[Uuid]) -> Result<(), Problem> {
    let mut transaction = database::begin(pool, "BEGIN").await?;
    // A relay that waits for a hanging broker holds the row; the connection must not be held for as long.
    sqlx::query("SET LOCAL lock_timeout = '1s'").execute(&mut *transaction).await?;
    canary::purge(&mut transaction, ended).await?;
    canary::purge_sent_before(&mut transaction, Utc::now() - LEFTOVER).await?;
    Ok(transaction.commit().await?)
}

/// Where a canary is.
#[derive(Debug, FromRow)]
struct Progress {
    task_id: Uuid,
    arrived: bool,
    published: bool,
    last_error: Option<String>,
}

impl Progress {
    fn stage(self) -> Stage {
        if self.published { Stage::Consumer } else { Stage::Broker(self.last_error) }
    }
}

async fn look(pool: &PgPool, under_way: &[Sent]) -> Result<Vec<Progress>, sqlx::Error> {
    // An event that the relay has removed was published. A broker that hangs fails the relay's call later than this canary is given
    // up, so the error may be that of an earlier event.
    sqlx::query_as(
        "SELECT canary.task_id, canary.arrived_at IS NOT NULL AS arrived,
                outbox.id IS NULL OR outbox.published_at IS NOT NULL AS published,
                coalesce(outbox.last_error,
                    (SELECT waiting.last_error FROM outbox AS waiting
                     WHERE waiting.published_at IS NULL AND waiting.last_error IS NOT NULL ORDER BY waiting.seq LIMIT 1)
                ) AS last_error
         FROM canary LEFT JOIN outbox ON outbox.partition_key = canary.task_id::text
         WHERE canary.task_id = ANY ($1)",
    )
    .bind(under_way.iter().map(|sent| sent.task_id).collect::<Vec<_>>())
    .fetch_all(pool)
    .await
}

/// A database that hangs gives no error, so every use of it has a limit.
async fn limited<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, String> {
    match timeout(STATEMENT, work).await {
        Ok(result) => result.map_err(|problem| problem.sentence()),
        Err(_) => Err(format!("no answer within {} s", STATEMENT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::FutureExt;
    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;

    /// Keeps the one gauge.
    #[derive(Default)]
    struct Started(Arc<AtomicU64>);

    impl Recorder for Started {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            assert_eq!(key.name(), "data_path_started_timestamp_seconds");
            Gauge::from_arc(self.0.clone())
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn an_outage_from_the_start_has_an_age_too() {
        let (recorder, stop) = (Started::default(), CancellationToken::new());
        stop.cancel();
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let run = || DataPath::default().run(Database::new(), stop).now_or_never();
        metrics::with_local_recorder(&recorder, run).unwrap();
        assert!(f64::from_bits(recorder.0.load(Ordering::Relaxed)) >= before);
    }
}
