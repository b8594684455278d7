//! What `GET /data-path` says, from what the canary saw. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use todo_common::database::State;
use tokio::time::Instant;

/// What was sent longer ago proves nothing: that is three canaries.
pub(super) const FRESH: Duration = Duration::from_secs(12);
/// So many that are sent after the first one that arrives have to arrive, too, before an outage is over: what a broker held comes
/// at once when it is back, and then its consumers may well be sorted anew.
const MORE: u8 = 2;

/// What the canary waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// For nothing: all have arrived.
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
    /// When it was sent, for its age: this clock is never set back. When its arrival is noticed would say too much of one that is
    /// noticed late.
    pub(super) sent: Instant,
    /// When it arrived, for people.
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
    /// The end of the last outage, once something has arrived again.
    recovery: Option<Recovery>,
}

/// The way out of an outage.
#[derive(Debug, Clone, Copy)]
struct Recovery {
    /// When the first one arrived.
    since: Instant,
    /// How many that are sent later have to arrive.
    outstanding: u8,
}

impl Default for Observation {
    fn default() -> Self {
        Self { started: Instant::now(), stage: Stage::Idle, last: None, recovery: None }
    }
}

impl Observation {
    /// Takes note of one whose arrival is noticed at `now`. The very first is proof at once.
    pub(super) fn arrived(&mut self, success: Success, now: Instant) {
        if self.last.is_some_and(|last| !is_fresh(last, now)) {
            self.recovery = Some(Recovery { since: now, outstanding: MORE });
        } else if let Some(recovery) = self.recovery.as_mut().filter(|recovery| recovery.since <= success.sent) {
            recovery.outstanding = recovery.outstanding.saturating_sub(1);
        }
        // Another partition's may overtake it.
        if self.last.is_none_or(|last| last.sent < success.sent) {
            self.last = Some(success);
        }
    }
}

fn is_fresh(success: Success, now: Instant) -> bool {
    now.saturating_duration_since(success.sent) <= FRESH
}

/// The answer that the operator reads.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Report {
    /// Whether a canary of the last 12 s arrived, and after an outage some that were sent later, too.
    verified: bool,
    /// When the last one arrived.
    checked_at: Option<DateTime<Utc>>,
    /// How long the last one was under way.
    latency_ms: Option<u64>,
    /// Seconds since the last one that arrived was sent.
    age_seconds: Option<f64>,
    /// One word for machines.
    reason: &'static str,
    /// Words for people.
    message: String,
}

/// Puts what is known at `now` into words.
pub(super) fn report(observation: &Observation, database: &State, now: Instant) -> Report {
    let age = observation.last.map(|last| now.saturating_duration_since(last.sent));
    let is_fresh = observation.last.is_some_and(|last| is_fresh(last, now));
    let verified = is_fresh && observation.recovery.is_none_or(|recovery| recovery.outstanding == 0);
    let (reason, message) = match (verified, database) {
        (true, _) => {
            ("Verified", "an event went from the API through Kafka to its consumer and into the database".to_owned())
        }
        (false, State::InUse(by)) => ("DatabaseInUse", format!("the database belongs to the platform {by}")),
        (false, State::Starting(words)) => ("Starting", (*words).to_owned()),
        (false, State::Failed(words)) => ("DatabaseUnavailable", format!("waiting for the database: {words}")),
        (false, State::Ready(_)) if is_fresh => {
            ("Recovering", "events arrive again after an outage, which is over once some more have arrived".to_owned())
        }
        (false, State::Ready(_)) => waiting(observation, now),
    };
    Report {
        verified,
        checked_at: observation.last.map(|last| last.wall),
        latency_ms: observation.last.map(|last| whole(last.latency.as_millis())),
        age_seconds: age.map(|age| age.as_secs_f64()),
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
        let last = last.map(|_| Success { sent: start, wall, latency: Duration::from_millis(35) });
        (Observation { started: start, stage, last, recovery: None }, start)
    }

    fn report_after(seconds: u64, stage: Stage, arrived: bool) -> Report {
        let (observation, start) = seen(stage, arrived.then_some(Duration::ZERO));
        report(&observation, &ready(), start + Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn an_arrival_counts_for_twelve_seconds() {
        assert!(report_after(12, Stage::Broker(None), true).verified);
        let late = report_after(13, Stage::Broker(Some("timeout".into())), true);
        assert_eq!((late.verified, late.reason, late.age_seconds), (false, "NotPublished", Some(13.0)));
        assert!(late.message.ends_with("Kafka does not take it: timeout"));
    }

    /// What is said at `now` once these have arrived, each sent and noticed at these seconds.
    fn report_of(arrivals: &[(u64, u64)], now: u64) -> Report {
        let (mut observation, start) = seen(Stage::Consumer, None);
        for (sent, noticed) in arrivals {
            let at = |seconds: &u64| start + Duration::from_secs(*seconds);
            let latency = Duration::from_secs(noticed - sent);
            observation.arrived(Success { sent: at(sent), wall: DateTime::UNIX_EPOCH, latency }, at(noticed));
        }
        report(&observation, &ready(), start + Duration::from_secs(now))
    }

    #[tokio::test]
    async fn an_arrival_that_is_noticed_late_is_no_proof_of_now() {
        assert!(report_of(&[(0, 0), (4, 11)], 11).verified);
        let late = report_of(&[(0, 0), (4, 19)], 19);
        assert_eq!((late.verified, late.reason, late.age_seconds), (false, "NotConsumed", Some(15.0)));
    }

    #[tokio::test]
    async fn an_outage_is_over_once_those_that_are_sent_after_the_first_arrival_arrive() {
        // All that waited for the broker comes at once.
        let outage = [(0, 0), (12, 20), (16, 20), (20, 20), (24, 24), (28, 28)];
        let held = report_of(&outage[..3], 20);
        assert_eq!((held.verified, held.reason), (false, "Recovering"));
        assert!(!report_of(&outage[..4], 23).verified);
        assert!(report_of(&outage[..5], 24).verified);
        let broken_again = [(0, 0), (20, 20), (24, 24), (40, 40)];
        assert_eq!(report_of(&broken_again, 40).reason, "Recovering");
    }

    #[tokio::test]
    async fn one_that_is_overtaken_makes_the_proof_no_older() {
        assert_eq!(report_of(&[(4, 5), (0, 6)], 6).age_seconds, Some(2.0));
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
                "verified": true, "checked_at": "1970-01-01T00:00:00Z", "latency_ms": 35, "age_seconds": 2.0, "reason": "Verified",
                "message": "an event went from the API through Kafka to its consumer and into the database",
            })
        );
    }
}
