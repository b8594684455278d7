//! Carries out a plan: wave after wave, within a wave several writes at a time. Removals come last, and but for autoscalers
//! only when every write worked that others need.

pub mod fights;
mod lanes;
mod order;
mod removals;
mod settle;
pub mod ssa;
mod tls;
pub mod topics;

use std::{collections::BTreeSet, time::Instant};

use kube::core::DynamicObject;
use tracing::{Instrument, debug, warn};

use crate::{
    class::{Class, bounded, is_namespace_leaving},
    plan::{
        Action, Foreign, Held, Hold, Identity, Key, Plan, Standing, Step,
        diff::{applied_hash, in_order},
        gate::unread,
        ownership::{FieldConflict, field_conflicts, standing},
    },
    runtime::{metrics, traces},
};
pub use fights::{Dispute, Fights};
pub use lanes::Lanes;
use order::{Onward, after, turn, waits};
pub use ssa::{WriteError, Writer};

/// Writes of one platform at the same time.
const CONCURRENCY: usize = 8;
/// Characters of an error's text that are kept.
const MESSAGE: usize = 512;

/// Why an object is left alone after a fight.
const TRUCE: &str = "somebody changes or deletes it again and again";

/// What became of a plan.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Objects that were written.
    pub written: Vec<Key>,
    /// Objects that were removed, as nobody asks for them any more.
    pub removed: Vec<Key>,
    /// Those of them that are gone already, with their UIDs.
    pub gone: Vec<(Key, String)>,
    /// Whether a Secret was made, is on its way out or is not what it was, so that they have to be read anew.
    pub secrets_changed: bool,
    /// What could not be written.
    pub failures: Vec<Failure>,
    /// What is not made yet.
    pub held: Vec<Held>,
    /// What is somebody else's.
    pub foreign: Vec<Foreign>,
    /// Fields that were claimed by others in this pass.
    pub conflicts: Vec<(Key, FieldConflict)>,
}

/// A write that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The object.
    pub key: Key,
    /// Kind of the failure.
    pub class: Class,
    /// What was said about it.
    pub message: String,
}

/// What became of one step.
enum Outcome {
    /// The resource version that an apply left.
    Written(Option<String>),
    /// It was there already, just as it should be.
    InOrder,
    Foreign(String),
    /// It is left as it is, for the reason in words.
    Held(Hold, String),
    Failed(WriteError),
    /// It failed before, and it is too soon for another try.
    TooSoon(Failure),
    /// Others claim fields of what was to be applied.
    Conflict(Vec<FieldConflict>, Box<DynamicObject>),
}

/// Carries out `plan`, but for what is among `failed` before: that is not tried again yet.
pub async fn apply(
    writer: &Writer,
    identity: &Identity,
    plan: Plan,
    failed: &[Failure],
    fights: &mut Fights,
) -> Applied {
    let mut applied = Applied { held: plan.held, foreign: plan.foreign, ..Applied::default() };
    applied.secrets_changed = applied.held.iter().any(|held| held.key.kind == "Secret");
    let (mut steps, mut onward) = (plan.steps, Onward::All);
    steps.retain(|step| !is_as_written(step, fights));
    steps.sort_by_key(turn);
    let mut unwritten: BTreeSet<Key> = steps.iter().map(|step| step.key.clone()).collect();
    for wave in steps.chunk_by(|one, other| turn(one) == turn(other)) {
        if applied.foreign.iter().any(|foreign| foreign.wave < wave[0].wave) {
            onward = Onward::Nothing;
        }
        if onward == Onward::Nothing {
            break;
        }
        let unread = unread(&applied.held, wave[0].wave).cloned();
        let mut due = Vec::new();
        for step in wave {
            match waits(step, onward, unread.as_ref()) {
                Some(why) => applied.held.push(held(step, Hold::Turn, &why)),
                None => due.push(step),
            }
        }
        let (now, truces) = (Instant::now(), &*fights);
        let calls = due.into_iter().map(|step| async move {
            if let Some(failure) = failed.iter().find(|failure| failure.key == step.key) {
                return (step, Outcome::TooSoon(failure.clone()));
            }
            if truces.is_truce(&step.key, now) {
                return (step, Outcome::Held(Hold::Truce, TRUCE.to_owned()));
            }
            if let Some(message) = truces.stranger(&step.key, now) {
                return (step, Outcome::Foreign(message.to_owned()));
            }
            let span = traces::write(&step.key.kind, &step.key.name);
            (step, run(writer, identity, step).instrument(span).await)
        });
        let outcomes = writer.lanes().side_by_side(CONCURRENCY, calls).await;
        for (step, outcome) in outcomes {
            let outcome = match outcome {
                Outcome::Conflict(conflicts, body) => {
                    settle::settle(writer, step, conflicts, &body, fights, &mut applied).await
                }
                other => other,
            };
            if let (Outcome::Written(version), Action::Apply { body, .. }) = (&outcome, &step.action) {
                fights.wrote(&step.key, applied_hash(body).unwrap_or_default(), version.clone(), now);
                if fights.is_truce(&step.key, now) {
                    warn!(object = %step.key, "left alone for a while: {TRUCE}");
                }
            }
            if let Outcome::Foreign(message) = &outcome {
                fights.met(&step.key, message, now);
            }
            onward = onward.max(after(step, &outcome));
            if matches!(outcome, Outcome::Written(_) | Outcome::InOrder) {
                unwritten.remove(&step.key);
            }
            applied.note(step, outcome);
        }
    }
    let due = plan.removals.iter().filter(|removal| removals::is_due(&removal.key, onward, &unwritten)).collect();
    removals::remove(writer, due, failed, &mut applied).await;
    applied
}

fn held(step: &Step, hold: Hold, reason: &str) -> Held {
    Held { key: step.key.clone(), wave: step.wave, hold, reason: reason.to_owned() }
}

/// Whether another write of the same would change nothing.
fn is_as_written(step: &Step, fights: &Fights) -> bool {
    match &step.action {
        Action::Apply { body, version, .. } => {
            fights.is_as_written(&step.key, applied_hash(body).unwrap_or_default(), version.as_deref())
        }
        Action::Create(_) | Action::Relabel(_) => false,
    }
}

impl Applied {
    /// What a look alone shows of a plan that nobody carries out.
    pub fn without_a_try(plan: Plan) -> Self {
        let is_seen = |held: &Held| matches!(held.hold, Hold::Unwatched | Hold::Leaving);
        let held = plan.held.into_iter().filter(is_seen).collect();
        Self { held, foreign: plan.foreign, ..Self::default() }
    }

    fn note(&mut self, step: &Step, outcome: Outcome) {
        match outcome {
            Outcome::Written(_) => {
                debug!(object = %step.key, "applied");
                self.written.push(step.key.clone());
                self.secrets_changed |= step.key.kind == "Secret";
            }
            Outcome::Foreign(message) => {
                self.foreign.push(Foreign { key: step.key.clone(), wave: step.wave, message });
            }
            Outcome::Held(hold, reason) => self.held.push(held(step, hold, &reason)),
            Outcome::Failed(WriteError::Api(error)) if is_namespace_leaving(&error) => {
                self.held.push(held(step, Hold::Turn, "the namespace is being deleted"));
            }
            Outcome::Failed(error) => self.fail(&step.key, &error),
            Outcome::TooSoon(failure) => self.failures.push(failure),
            // The latter was settled before.
            Outcome::InOrder | Outcome::Conflict(..) => {}
        }
    }

    fn fail(&mut self, key: &Key, error: &WriteError) {
        let (class, message) = (error.class(), bounded(&error.to_string(), MESSAGE));
        metrics::error(class);
        warn!(object = %key, %class, error = %message, "cannot write");
        self.secrets_changed |= key.kind == "Secret";
        self.failures.push(Failure { key: key.clone(), class, message });
    }
}

async fn run(writer: &Writer, identity: &Identity, step: &Step) -> Outcome {
    let begun = Instant::now();
    let outcome = match &step.action {
        Action::Apply { body, uid, hand_over, .. } => {
            if let (Some(replicas), Some(uid)) = (hand_over, uid)
                && let Err(error) = writer.hand_over(&step.resource, &step.key.name, uid, *replicas).await
            {
                return Outcome::Failed(error);
            }
            apply_one(writer, identity, step, body, uid.clone()).await
        }
        Action::Create(body) => match writer.create(&step.resource, body).await {
            // If somebody was faster, theirs is used.
            Ok(_) => Outcome::Written(None),
            Err(error) => Outcome::Failed(error),
        },
        Action::Relabel(patch) => match writer.merge(&step.resource, &step.key.name, patch).await {
            Ok(_) => Outcome::Written(None),
            Err(error) => Outcome::Failed(error),
        },
    };
    metrics::applied(begun.elapsed());
    outcome
}

async fn apply_one(
    writer: &Writer,
    identity: &Identity,
    step: &Step,
    body: &DynamicObject,
    uid: Option<String>,
) -> Outcome {
    let mut body = body.clone();
    let Some(uid) = uid else { return make(writer, identity, step, body).await };
    body.metadata.uid = Some(uid);
    change(writer, step, body).await
}

/// Applies what is not known to be there, without a look before. What somebody else made meanwhile stays as it is.
async fn make(writer: &Writer, identity: &Identity, step: &Step, mut body: DynamicObject) -> Outcome {
    let refused = match writer.apply_new(&step.resource, &mut body).await {
        Ok(version) => return Outcome::Written(version),
        Err(error) if error.class() == Class::Conflict => error,
        Err(error) => return Outcome::Failed(error),
    };
    match writer.get(&step.resource, &step.key.name).await {
        Ok(None) => Outcome::Failed(refused),
        // A watch that lost an event does not know it, and would have it written again and again.
        Ok(Some(present)) if is_ours_and_in_order(identity, &body, &present) => Outcome::InOrder,
        Ok(Some(present)) => match standing(identity, &present.metadata) {
            Standing::Ours => {
                body.metadata.uid = present.metadata.uid;
                change(writer, step, body).await
            }
            Standing::Leaving(reason) => Outcome::Held(Hold::Leaving, reason),
            Standing::Foreign(message) => Outcome::Foreign(message),
        },
        Err(error) => Outcome::Failed(error),
    }
}

fn is_ours_and_in_order(identity: &Identity, body: &DynamicObject, present: &DynamicObject) -> bool {
    standing(identity, &present.metadata) == Standing::Ours && in_order(body, present)
}

/// Applies to exactly the object whose UID `body` has.
async fn change(writer: &Writer, step: &Step, body: DynamicObject) -> Outcome {
    match writer.apply(&step.resource, &body, false).await {
        Ok(version) => Outcome::Written(version),
        Err(error) => match error.status().map(field_conflicts) {
            Some(conflicts) if !conflicts.is_empty() => Outcome::Conflict(conflicts, Box::new(body)),
            _ if error.class() == Class::Invalid => overwrite(writer, step, &body, error).await,
            _ => Outcome::Failed(error),
        },
    }
}

/// Puts right what an apply cannot: it adds our items to a list and leaves those of others, and both together may be
/// invalid, for example two ports of a Service with one name. So all lists are made ours first.
async fn overwrite(writer: &Writer, step: &Step, body: &DynamicObject, refused: WriteError) -> Outcome {
    match writer.overwrite(&step.resource, body).await {
        Ok(()) => match writer.apply(&step.resource, body, true).await {
            Ok(version) => Outcome::Written(version),
            Err(error) => Outcome::Failed(error),
        },
        // What was refused first says more about what is wrong.
        Err(_) => Outcome::Failed(refused),
    }
}

#[cfg(test)]
mod tests;
