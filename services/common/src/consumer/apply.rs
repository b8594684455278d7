//! Effects and marks in one transaction.

use serde_json::Value;

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

/// Handles events in their order: all in one transaction, or, if one of them spoils that, each in its own. Once something is
/// away the rest waits too, so that no event overtakes an earlier one of its key.
pub(super) async fn judge<C: Consumer>(
    database: &Database,
    delivered: impl IntoIterator<Item = Value>,
) -> Vec<Verdict> {
    let mut read: Vec<Option<CloudEvent<C::Data>>> = delivered.into_iter().map(read).collect();
    let spans: Vec<Option<Span>> = read.iter_mut().map(|event| event.as_mut().map(span::<C>)).collect();
    let events: Vec<&CloudEvent<C::Data>> = read.iter().flatten().collect();
    let together = match apply::<C>(database, &events).await {
        Ok(()) => Some(Verdict::Handled),
        Err(problem) if problem.is_away() => Some(Verdict::Later),
        Err(_) => None,
    };
    let mut verdicts = Vec::with_capacity(read.len());
    let mut is_away = false;
    for (event, span) in read.into_iter().zip(spans) {
        let verdict = match (event, together) {
            (None, _) => Verdict::Impossible,
            (Some(_), Some(verdict)) => verdict,
            (Some(_), None) if is_away => Verdict::Later,
            (Some(event), None) => alone::<C>(database, &event).await,
        };
        is_away |= verdict == Verdict::Later;
        if let Some(span) = span {
            note(span, verdict);
        }
        verdicts.push(verdict);
    }
    verdicts
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

async fn alone<C: Consumer>(database: &Database, event: &CloudEvent<C::Data>) -> Verdict {
    match apply::<C>(database, &[event]).await {
        Ok(()) => Verdict::Handled,
        Err(problem) if problem.is_away() => Verdict::Later,
        Err(problem) => {
            let reason = problem.sentence();
            tracing::warn!(event_id = event.id, reason, "an event cannot be handled and goes to the dead-letter topic");
            Verdict::Impossible
        }
    }
}

/// Marks the events in the inbox and does what they ask for, in one transaction. What was handled before is left out.
pub(crate) async fn apply<C: Consumer>(database: &Database, events: &[&CloudEvent<C::Data>]) -> Result<(), Problem> {
    let mut transaction = database.begin().await?;
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
    for event in old {
        C::count(event, None);
    }
    Ok(())
}
