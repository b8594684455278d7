//! What the relay knows of the broker, for people who look at `/readyz`. Nothing depends on it: events wait in the outbox.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{OutboxEvent, relay::Publish};

/// A broker that works answers sooner.
const PATIENCE: Duration = Duration::from_secs(5);

/// How Dapr's client of Kafka says that an event is too large.
const TOO_LARGE: [&str; 2] = ["Message was too large", "larger than configured Producer.MaxMessageBytes"];

/// How the sidecar says that it does not ask the broker, as it has refused too often. Its own tries again end with these words,
/// and hide those of the broker.
const NOT_ASKED: [&str; 2] = ["circuit breaker is open", "too many requests"];

/// How the last publishing went, and what is under way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Broker(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    last: Option<Last>,
    /// When the calls that have no answer yet were begun, the oldest first.
    pending: Vec<DateTime<Utc>>,
    /// What was said last of a broker that was asked and has taken nothing since.
    cause: Option<String>,
}

#[derive(Debug)]
struct Last {
    result: Result<(), String>,
    /// Since when the results are of this kind.
    since: DateTime<Utc>,
}

/// What `/readyz` says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Nothing before the first answer.
    ok: Option<bool>,
    message: String,
    since: Option<DateTime<Utc>>,
}

impl Broker {
    /// The same way out, which notes here what becomes of events.
    pub fn watched<P: Publish>(&self, publisher: P) -> impl Publish + use<P> {
        Watched { publisher, broker: self.clone() }
    }

    pub(crate) fn report(&self, now: DateTime<Utc>) -> Report {
        self.known().report(now)
    }

    fn begin(&self, now: DateTime<Utc>) -> Pending<'_> {
        self.known().pending.push(now);
        Pending { broker: self, begun: now }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn note(&mut self, result: Result<(), String>, now: DateTime<Utc>) {
        let same_kind = self.last.as_ref().filter(|last| last.result.is_ok() == result.is_ok());
        let since = same_kind.map_or(now, |last| last.since);
        self.last = Some(Last { result, since });
    }

    /// Puts the broker's words in place of those that only say that it is not asked.
    fn explain(&mut self, published: &mut Result<HashMap<Uuid, String>, String>, events: usize) {
        if outcome(published, events).is_some_and(|outcome| outcome.is_ok()) {
            self.cause = None;
        }
        let mut reasons: Vec<&mut String> = match published {
            Ok(failed) => failed.values_mut().collect(),
            Err(why) => vec![why],
        };
        if let Some(cause) = reasons.iter().find(|why| !is_not_asked(why) && !is_of_the_event(why)) {
            self.cause = Some((**cause).clone());
        }
        let Some(cause) = &self.cause else { return };
        for why in reasons.iter_mut().filter(|why| is_not_asked(why)) {
            **why = format!("{cause} (said before the circuit breaker opened)");
        }
    }

    fn report(&self, now: DateTime<Utc>) -> Report {
        if let Some(Last { result: Err(why), since }) = &self.last {
            return Report { ok: Some(false), message: why.clone(), since: Some(*since) };
        }
        let overdue = self.pending.first().map(|begun| (*begun, now.signed_duration_since(begun).to_std()));
        match (overdue, &self.last) {
            (Some((begun, Ok(waited))), _) if waited >= PATIENCE => {
                let message = format!("it has not answered for {} s", waited.as_secs());
                Report { ok: Some(false), message, since: Some(begun) }
            }
            (_, Some(Last { since, .. })) => Report { ok: Some(true), message: "ok".to_owned(), since: Some(*since) },
            (_, None) => Report { ok: None, message: "nothing has been published yet".to_owned(), since: None },
        }
    }
}

/// A call that has no answer yet; also where it is given up.
struct Pending<'a> {
    broker: &'a Broker,
    begun: DateTime<Utc>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut known = self.broker.known();
        if let Some(place) = known.pending.iter().position(|begun| *begun == self.begun) {
            known.pending.remove(place);
        }
    }
}

struct Watched<P> {
    publisher: P,
    broker: Broker,
}

impl<P: Publish> Publish for Watched<P> {
    async fn publish_events(&self, topic: &str, events: &[&OutboxEvent]) -> Result<HashMap<Uuid, String>, String> {
        let pending = self.broker.begin(Utc::now());
        let mut published = self.publisher.publish_events(topic, events).await;
        drop(pending);
        self.broker.known().explain(&mut published, events.len());
        if let Some(result) = outcome(&published, events.len()) {
            self.broker.known().note(result, Utc::now());
        }
        published
    }
}

/// What is told of the broker: one that has taken any of the events works. Nothing where all were refused for themselves.
fn outcome(published: &Result<HashMap<Uuid, String>, String>, events: usize) -> Option<Result<(), String>> {
    match published {
        Ok(failed) if failed.len() < events => Some(Ok(())),
        // Of a broker that is away the sidecar says so for each event, too.
        Ok(failed) => failed.values().find(|why| !is_of_the_event(why)).map(|why| Err(why.clone())),
        Err(why) => Some(Err(why.clone())),
    }
}

/// Whether an event was refused for its size: by the broker, or by the sidecar, which has not asked it.
fn is_of_the_event(why: &str) -> bool {
    TOO_LARGE.iter().any(|words| why.contains(words))
}

fn is_not_asked(why: &str) -> bool {
    NOT_ASKED.iter().any(|words| why.contains(words))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn report(ok: bool, message: &str, since: i64) -> Report {
        Report { ok: Some(ok), message: message.to_owned(), since: Some(at(since)) }
    }

    #[test]
    fn a_broker_is_as_its_last_answer_says_since_the_first_of_that_kind() {
        let broker = Broker::default();
        let none = Report { ok: None, message: "nothing has been published yet".to_owned(), since: None };
        assert_eq!(broker.report(at(0)), none);
        for second in [1, 2] {
            broker.known().note(Ok(()), at(second));
        }
        assert_eq!(broker.report(at(3)), report(true, "ok", 1));
        for (second, why) in [(4, "no leader"), (5, "no broker")] {
            broker.known().note(Err(why.to_owned()), at(second));
        }
        assert_eq!(broker.report(at(6)), report(false, "no broker", 4));
        broker.known().note(Ok(()), at(7));
        assert_eq!(broker.report(at(8)), report(true, "ok", 7));
    }

    #[test]
    fn a_broker_that_has_stopped_answering_is_noticed_before_the_call_is_given_up() {
        let broker = Broker::default();
        broker.known().note(Ok(()), at(1));
        let pending = broker.begin(at(10));
        assert_eq!(broker.report(at(14)), report(true, "ok", 1));
        assert_eq!(broker.report(at(16)), report(false, "it has not answered for 6 s", 10));
        drop(pending);
        assert_eq!(broker.report(at(17)), report(true, "ok", 1));
        let text = serde_json::to_string(&broker.report(at(17))).unwrap();
        assert_eq!(text, r#"{"ok":true,"message":"ok","since":"1970-01-01T00:00:01Z"}"#);
    }

    const TOO_LARGE_FOR_THE_BROKER: &str =
        "kafka server: Message was too large, server rejected it to avoid allocation error";
    const TOO_LARGE_FOR_THE_SIDECAR: &str = "kafka: invalid configuration (Attempt to produce message larger than configured Producer.MaxMessageBytes: 9 > 8)";
    const AWAY: &str = "kafka: client has run out of available brokers to talk to: EOF";

    fn refused(reasons: &[&str]) -> HashMap<Uuid, String> {
        reasons.iter().map(|why| (Uuid::new_v4(), (*why).to_owned())).collect()
    }

    #[test]
    fn one_event_that_is_refused_says_nothing_of_the_broker() {
        for why in [TOO_LARGE_FOR_THE_BROKER, TOO_LARGE_FOR_THE_SIDECAR] {
            assert_eq!(outcome(&Ok(refused(&[why])), 1), None, "{why}");
            assert_eq!(outcome(&Ok(refused(&[why])), 2), Some(Ok(())), "the other one was taken");
        }
    }

    #[test]
    fn why_a_broker_took_nothing_is_told_though_it_is_not_asked_any_more() {
        const FORBIDDEN: &str = "kafka server: The client is not authorized to access this topic";
        let (mut known, open) = (Known::default(), NOT_ASKED[0]);
        let mut told = |reasons: &[&str], events: usize| {
            let mut published = Ok(refused(reasons));
            known.explain(&mut published, events);
            let mut told: Vec<_> = published.unwrap().into_values().collect();
            told.sort();
            told
        };
        assert_eq!(told(&[open], 1), [open], "nobody knows why");
        assert_eq!(told(&[FORBIDDEN], 1), [FORBIDDEN]);
        let before = format!("{FORBIDDEN} (said before the circuit breaker opened)");
        for words in NOT_ASKED {
            assert_eq!(told(&[words], 1), [before.as_str()]);
        }
        assert_eq!(told(&[TOO_LARGE_FOR_THE_SIDECAR], 1), [TOO_LARGE_FOR_THE_SIDECAR], "that is the event's");
        assert_eq!(told(&[open], 1), [before.as_str()]);
        assert_eq!(told(&[], 1), [""; 0]);
        assert_eq!(told(&[open], 1), [open], "it has taken something since");

        let mut whole = Err(FORBIDDEN.to_owned());
        known.explain(&mut whole, 1);
        whole = Err(format!("publishing: {open}"));
        known.explain(&mut whole, 1);
        assert_eq!(whole, Err(before));
    }

    #[test]
    fn a_broker_that_takes_nothing_says_why_for_all_events_or_for_each() {
        let away = Some(Err(AWAY.to_owned()));
        assert_eq!(outcome(&Err(AWAY.to_owned()), 1), away);
        assert_eq!(outcome(&Ok(refused(&[AWAY])), 1), away);
        assert_eq!(outcome(&Ok(refused(&[TOO_LARGE_FOR_THE_SIDECAR, AWAY])), 2), away);
        assert_eq!(outcome(&Ok(refused(&[])), 1), Some(Ok(())));
    }
}
