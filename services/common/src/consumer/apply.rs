//! Effects and marks in one transaction.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt;
use serde_json::Value;
use tokio::time::timeout;

use super::Consumer;
use crate::{
    database::Database,
    events::CloudEvent,
    inbox,
    problem::Problem,
    telemetry::{
        spans::{Span, SpanKind},
        trace_context,
    },
};

/// What became of an event that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its effect is committed, now or earlier.
    Handled,
    /// Something that is needed is away.
    Later,
    /// It cannot be handled, now or later.
    Impossible,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Later => "later",
            Self::Impossible => "impossible",
        }
    }
}

/// How long a consumer's work may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The effects of one event: longer than the pool lets wait for a connection, which is no matter of the event.
    pub alone: Duration,
    /// The same of several events together.
    pub together: Duration,
    /// How long the server goes on with a statement, or waits for a lock: less than we do, as it would hold the marks of all meanwhile.
    pub statement: Duration,
    /// After this no other event of a call is begun, as the sidecar gives that 30 s.
    pub call: Duration,
}

impl Limits {
    /// Those of the services.
    pub const USUAL: Self = Self {
        alone: Duration::from_secs(5),
        together: Duration::from_secs(8),
        statement: Duration::from_secs(6),
        call: Duration::from_secs(16),
    };
}

/// Handles events, each with its key, in their order: all in one transaction, or, if one of them spoils that, each in its own. Once
/// something is away the rest waits too, so that no event overtakes an earlier one of its key; behind one that takes too long only
/// those of its key do.
pub(super) async fn judge<'a, C: Consumer>(
    database: &Database,
    delivered: impl IntoIterator<Item = (&'a str, Value)>,
) -> Vec<Verdict> {
    let begun = Instant::now();
    let (keys, delivered): (Vec<&str>, Vec<Value>) = delivered.into_iter().unzip();
    let mut read: Vec<Option<CloudEvent<C::Data>>> = delivered.into_iter().map(read).collect();
    let spans: Vec<Option<Span>> = read.iter_mut().map(|event| event.as_mut().map(span::<C>)).collect();
    let events: Vec<&CloudEvent<C::Data>> = read.iter().flatten().collect();
    let together = if events.len() > 1 { together::<C>(database, &events).await } else { None };
    let mut verdicts = Vec::with_capacity(read.len());
    let mut waiting = Waiting::default();
    for ((event, span), key) in read.into_iter().zip(spans).zip(keys) {
        let verdict = match (event, together) {
            (None, _) => Verdict::Impossible,
            (Some(_), Some(verdict)) => verdict,
            (Some(_), None) if waiting.includes(key) || begun.elapsed() >= C::LIMITS.call => Verdict::Later,
            (Some(event), None) => alone::<C>(database, &event, key, &mut waiting).await,
        };
        if let Some(span) = span {
            note(span, verdict);
        }
        verdicts.push(verdict);
    }
    verdicts
}

/// Whose events wait for a later delivery.
#[derive(Default)]
struct Waiting<'a> {
    all: bool,
    keys: HashSet<&'a str>,
}

impl Waiting<'_> {
    fn includes(&self, key: &str) -> bool {
        self.all || self.keys.contains(key)
    }
}

/// The span of an event's way through here. It goes on from what caused the event, and what its effects are causes goes on
/// from it.
fn span<C: Consumer>(event: &mut CloudEvent<C::Data>) -> Span {
    let call = trace_context::current();
    let cause = event.traceparent.as_deref().or(call.as_deref());
    let mut span = Span::begin(SpanKind::Consumer, || format!("process {}", C::TOPIC).into(), cause);
    span.link(call.as_deref());
    span.set("messaging.operation.type", "process");
    span.set("messaging.destination.name", C::TOPIC);
    span.set("messaging.message.id", event.id.clone());
    if let Some(own) = span.traceparent() {
        event.traceparent = Some(own);
    }
    span
}

fn note(mut span: Span, verdict: Verdict) {
    span.set("todoplatform.verdict", verdict.word());
    if verdict != Verdict::Handled {
        span.fail();
    }
}

fn read<T: serde::de::DeserializeOwned>(event: Value) -> Option<CloudEvent<T>> {
    CloudEvent::read(event)
        // Not serde's own text, which quotes the payload.
        .inspect_err(|_| tracing::warn!("an event cannot be read and goes to the dead-letter topic"))
        .ok()
}

/// What becomes of all of several events, or nothing where each has to be looked at.
async fn together<C: Consumer>(database: &Database, events: &[&CloudEvent<C::Data>]) -> Option<Verdict> {
    let Err(problem) = apply::<C>(database, events).await else { return Some(Verdict::Handled) };
    if !problem.is_away() || problem.is_slow() {
        return None;
    }
    tracing::warn!(
        events = events.len(),
        reason = problem.sentence(),
        "events cannot be handled yet and are tried again"
    );
    Some(Verdict::Later)
}

async fn alone<'a, C: Consumer>(
    database: &Database,
    event: &CloudEvent<C::Data>,
    key: &'a str,
    waiting: &mut Waiting<'a>,
) -> Verdict {
    let Err(problem) = apply::<C>(database, &[event]).await else { return Verdict::Handled };
    let reason = problem.sentence();
    if !problem.is_away() {
        tracing::warn!(event_id = event.id, reason, "an event cannot be handled and goes to the dead-letter topic");
        return Verdict::Impossible;
    }
    if problem.is_slow() {
        tracing::warn!(event_id = event.id, reason, "an event could not be handled in time and is tried again");
        // Those without a key have no order.
        waiting.keys.extend(Some(key).filter(|key| !key.is_empty()));
    } else {
        tracing::warn!(event_id = event.id, reason, "an event cannot be handled yet and is tried again");
        waiting.all = true;
    }
    Verdict::Later
}

/// Does what [`effect`] does, in time. That it panics is a matter of the events, like all that cannot be
/// done. In both cases the transaction is rolled back.
pub(crate) async fn apply<C: Consumer>(database: &Database, events: &[&CloudEvent<C::Data>]) -> Result<(), Problem> {
    let limit = if events.len() > 1 { C::LIMITS.together } else { C::LIMITS.alone };
    match AssertUnwindSafe(timeout(limit, effect::<C>(database, events))).catch_unwind().await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Problem::slow(format!("it took longer than {limit:?}"))),
        // What it says may quote the event; where it was is in the log already.
        Err(_) => Err(Problem::internal().detail("the program panicked over it")),
    }
}

/// Marks the events in the inbox and does what they ask for, in one transaction. What was handled before is left out.
async fn effect<C: Consumer>(database: &Database, events: &[&CloudEvent<C::Data>]) -> Result<(), Problem> {
    let mut transaction = database.begin_within(C::LIMITS.statement).await?;
    let marked = events.iter().filter(|event| C::is_marked(&event.data)).map(|event| event.id.as_str()).collect();
    let mut unseen = inbox::mark(&mut transaction, C::NAME, marked).await?;
    // The second of one batch is as old as one that comes later.
    let is_new = |event: &&CloudEvent<C::Data>| !C::is_marked(&event.data) || unseen.remove(&event.id);
    let (new, old): (Vec<_>, Vec<_>) = events.iter().copied().partition(is_new);
    let outcomes = if new.is_empty() { Vec::new() } else { C::handle(&mut transaction, &new).await? };
    database.commit(transaction).await?;
    for (event, outcome) in new.into_iter().zip(&outcomes) {
        C::count(event, Some(outcome));
    }
    if !old.is_empty() {
        inbox::duplicates(C::NAME).increment(old.len() as u64);
    }
    for event in old {
        C::count(event, None);
    }
    Ok(())
}
