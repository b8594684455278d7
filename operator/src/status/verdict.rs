//! What is to be said about a platform: from verdicts to conditions, with the times at which they changed. Pure.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use todo_crds::platform::condition;

use super::words;
use crate::{apply::Failure, observe::Observed, plan::Foreign, text::bounded};

/// What is to be said about one type of condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Type of the condition.
    pub type_: &'static str,
    /// Whether it holds; `None` if that is not known.
    pub status: Option<bool>,
    /// Reason in one word.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// Why a condition is as it should not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// In one word.
    pub(super) reason: String,
    /// In words.
    pub(super) message: String,
}

/// Looks for one cause.
pub(super) type Check = fn(&Observed) -> Option<Cause>;

impl Cause {
    pub(super) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }

    pub(super) fn failed(failure: &Failure) -> Self {
        Self::new(failure.class.reason(), format!("cannot write {}: {}", failure.key, failure.message))
    }

    pub(super) fn foreign(foreign: &Foreign) -> Self {
        Self::new("ForeignObject", format!("{} is not the operator's: {}", foreign.key, foreign.message))
    }

    /// The first that is found, as later ones may come of it.
    pub(super) fn first(checks: &[Check], observed: &Observed) -> Option<Self> {
        checks.iter().find_map(|check| check(observed))
    }
}

impl Verdict {
    pub(super) fn new(type_: &'static str, status: Option<bool>, reason: &str, message: impl Into<String>) -> Self {
        Self { type_, status, reason: reason.to_owned(), message: bounded(&message.into(), words::LIMIT) }
    }

    pub(super) fn yes(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self::new(type_, Some(true), reason, message)
    }

    pub(super) fn no(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self::new(type_, Some(false), reason, message)
    }

    pub(super) fn no_for(type_: &'static str, cause: Cause) -> Self {
        Self::no(type_, &cause.reason, cause.message)
    }
}

/// Conditions for the status. One whose meaning is the same keeps its time; one that nothing is said about stays.
pub(super) fn merge(
    before: &[Condition],
    verdicts: Vec<Verdict>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = verdicts
        .into_iter()
        .map(|verdict| {
            let status = verdict.status.map_or("Unknown", |yes| if yes { "True" } else { "False" });
            let old = before.iter().find(|condition| condition.type_ == verdict.type_);
            let last_transition_time =
                old.filter(|old| old.status == status).map_or(Time(now), |old| old.last_transition_time.clone());
            Condition {
                type_: verdict.type_.to_owned(),
                status: status.to_owned(),
                reason: verdict.reason,
                message: verdict.message,
                observed_generation: generation,
                last_transition_time,
            }
        })
        .collect();
    let kept: Vec<Condition> =
        before.iter().filter(|old| conditions.iter().all(|new| new.type_ != old.type_)).cloned().collect();
    conditions.extend(kept);
    let place = |type_: &str| condition::ALL.iter().position(|known| *known == type_).unwrap_or(usize::MAX);
    conditions.sort_by_key(|condition| place(&condition.type_));
    conditions
}
