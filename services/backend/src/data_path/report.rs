//! What `GET /data-path` says, from what the canary saw. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use todo_common::database::State;
use tokio::time::Instant;

/// An older success does not count: that is three canaries late.
const FRESH: Duration = Duration::from_secs(12);

/// What the canary waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// For nothing: the last one has arrived.
    Idle,
    /// For the database, in words that say why.
    Database(String),
    /// For Kafka to take the event, with the relay's last error.
    Broker(Option<String>),
    /// For the consumer to handle the event.
    Consumer,
}

/// A canary that arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Success {
    /// When, for its age: this clock is never set back.
    pub(super) at: Instant,
    /// When, for people.
    pub(super) wall: DateTime<Utc>,
    /// How long it was under way.
    pub(super) latency: Duration,
}

/// What is known.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    pub(super) started: Instant,
    pub(super) stage: Stage,
    pub(super) last: Option<Success>,
}

impl Default for Observation {
    fn default() -> Self {
        Self { started: Instant::now(), stage: Stage::Idle, last: None }
    }
}

/// The answer that the operator reads.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    /// Whether a canary arrived in the last 12 s.
    verified: bool,
    /// When the last one arrived.
    checked_at: Option<DateTime<Utc>>,
    /// How long the last one was under way.
    latency_ms: Option<u64>,
    /// Seconds since the last one arrived.
    age_seconds: Option<u64>,
    /// One word for machines.
    reason: &'static str,
    /// Words for people.
    message: String,
}

/// Puts what is known at `now` into words.
pub(super) fn report(observation: &Observation, database: &State, now: Instant) -> Report {
    let age = observation.last.map(|last| now.saturating_duration_since(last.at));
    let verified = age.is_some_and(|age| age <= FRESH);
    let (reason, message) = match (verified, database) {
        (true, _) => {
            ("Verified", "an event went from the API through Kafka to its consumer and into the database".to_owned())
        }
        (false, State::InUse(by)) => ("DatabaseInUse", format!("the database belongs to the platform {by}")),
        (false, State::Starting(words)) => ("Starting", (*words).to_owned()),
        (false, State::Failed(words)) => ("DatabaseUnavailable", format!("waiting for the database: {words}")),
        (false, State::Ready(_)) => waiting(observation, now),
    };
    Report {
        verified,
        checked_at: observation.last.map(|last| last.wall),
        latency_ms: observation.last.map(|last| whole(last.latency.as_millis())),
        age_seconds: age.map(|age| age.as_secs()),
        reason,
        message,
    }
}

fn waiting(observation: &Observation, now: Instant) -> (&'static str, String) {
    let (reason, message) = match &observation.stage {
        Stage::Idle => ("Stale", "no canary has arrived lately".to_owned()),
        Stage::Database(words) => ("DatabaseUnavailable", format!("waiting for the database: {words}")),
        Stage::Broker(Some(error)) => {
            ("NotPublished", format!("the event is in the outbox but Kafka does not take it: {error}"))
        }
        Stage::Broker(None) => ("NotPublished", "the event is in the outbox and is not published yet".to_owned()),
        Stage::Consumer => ("NotConsumed", "the event is published but not consumed yet".to_owned()),
    };
    let first = observation.last.is_none() && now.saturating_duration_since(observation.started) <= FRESH;
    if first { ("Starting", message) } else { (reason, message) }
}

fn whole(milliseconds: u128) -> u64 {
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sqlx::postgres::PgPoolOptions;

    use super::*;

    fn ready() -> State {
        State::Ready(PgPoolOptions::new().connect_lazy("postgres://localhost/none").unwrap())
    }

    fn seen(stage: Stage, last: Option<Duration>) -> (Observation, Instant) {
        let start = Instant::now();
        let wall = DateTime::UNIX_EPOCH;
        let last = last.map(|_| Success { at: start, wall, latency: Duration::from_millis(35) });
        (Observation { started: start, stage, last }, start)
    }

    fn report_after(seconds: u64, stage: Stage, arrived: bool) -> Report {
        let (observation, start) = seen(stage, arrived.then_some(Duration::ZERO));
        report(&observation, &ready(), start + Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn an_arrival_counts_for_twelve_seconds() {
        assert!(report_after(12, Stage::Broker(None), true).verified);
        let late = report_after(13, Stage::Broker(Some("timeout".into())), true);
        assert_eq!((late.verified, late.reason, late.age_seconds), (false, "NotPublished", Some(13)));
        assert!(late.message.ends_with("Kafka does not take it: timeout"));
    }

    #[tokio::test]
    async fn the_reason_is_the_stage_that_is_waited_for() {
        for (stage, reason) in [
            (Stage::Idle, "Stale"),
            (Stage::Database("no answer".into()), "DatabaseUnavailable"),
            (Stage::Broker(None), "NotPublished"),
            (Stage::Consumer, "NotConsumed"),
        ] {
            assert_eq!(report_after(13, stage.clone(), false).reason, reason);
            assert_eq!(report_after(1, stage, false).reason, "Starting");
        }
    }

    #[tokio::test]
    async fn a_database_of_another_platform_is_said_at_once() {
        let (observation, start) = seen(Stage::Idle, None);
        let report = report(&observation, &State::InUse("a/b".into()), start);
        assert_eq!((report.verified, report.reason), (false, "DatabaseInUse"));
        assert_eq!(report.message, "the database belongs to the platform a/b");
    }

    #[tokio::test]
    async fn the_report_has_the_fields_that_the_operator_reads() {
        let report = serde_json::to_value(report_after(2, Stage::Idle, true)).unwrap();
        assert_eq!(
            report,
            json!({
                "verified": true, "checked_at": "1970-01-01T00:00:00Z", "latency_ms": 35, "age_seconds": 2, "reason": "Verified",
                "message": "an event went from the API through Kafka to its consumer and into the database",
            })
        );
    }
}
