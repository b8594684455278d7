//! Carries out a plan: wave after wave, within a wave several writes at a time. Removals come last, and but for autoscalers
//! only when every write worked that others need.

mod conflicts;
pub mod fights;
mod lanes;
mod order;
mod removals;
pub mod ssa;
mod step;
mod waves;

use std::time::Instant;

use tracing::{debug, warn};

use crate::{
    class::{Class, is_namespace_leaving},
    plan::{
        Action, Fate, Foreign, Held, Hold, Identity, Key, Plan, Present, Step, diff::desired_hash,
        ownership::FieldConflict,
    },
    runtime::metrics,
    text::bounded,
};
pub use fights::{Dispute, Fights};
pub use lanes::Lanes;
use order::turn;
pub use ssa::{WriteError, Writer};
use step::Outcome;
use waves::{Calls, Waves};

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
    /// Data that still has another fate than `deletionPolicy` says, as nobody writes.
    pub fates: Vec<Fate>,
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

/// Carries out `plan`, but for what is among `failed` before: that is not tried again yet.
pub async fn apply(
    writer: &Writer,
    identity: &Identity,
    plan: Plan,
    failed: &[Failure],
    fights: &mut Fights,
) -> Applied {
    let Plan { mut steps, removals, held, foreign, .. } = plan;
    steps.retain(|step| !is_as_written(step, fights));
    steps.sort_by_key(turn);
    let mut waves = Waves::new(Calls { writer, identity, failed }, fights, held, foreign, &steps);
    for wave in steps.chunk_by(|one, other| turn(one) == turn(other)) {
        if waves.is_over(wave[0].wave) {
            break;
        }
        let (due, now) = (waves.due(wave), Instant::now());
        for (step, outcome) in waves.carry_out(due, now).await {
            waves.take_in(step, outcome, now).await;
        }
    }
    waves.remove(&removals).await
}

fn held(step: &Step, hold: Hold, reason: &str) -> Held {
    Held { key: step.key.clone(), wave: step.wave, hold, reason: reason.to_owned() }
}

/// Whether another write of the same would change nothing.
fn is_as_written(step: &Step, fights: &Fights) -> bool {
    match &step.action {
        Action::Apply { body, present: Some(Present { version, .. }), .. } => {
            fights.is_as_written(&step.key, desired_hash(body).unwrap_or_default(), version.as_deref())
        }
        Action::Apply { present: None, .. } | Action::Create(_) | Action::Relabel(_) => false,
    }
}

impl Applied {
    /// What a look alone shows of a plan that nobody carries out.
    pub fn without_a_try(plan: Plan) -> Self {
        let is_seen = |held: &Held| matches!(held.hold, Hold::Unwatched | Hold::Leaving);
        let held = plan.held.into_iter().filter(is_seen).collect();
        Self { held, foreign: plan.foreign, fates: plan.fates, ..Self::default() }
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

#[cfg(test)]
mod tests;
