//! The waves of a plan, one after the other, and what each leaves to those after it.

use std::{collections::BTreeSet, time::Instant};

use tracing::{Instrument, warn};

use super::{
    Applied, Failure, Fights, TRUCE, Writer, conflicts, held,
    order::{Onward, after, waits},
    removals,
    step::{Outcome, run},
};
use crate::{
    build::Wave,
    plan::{Action, Foreign, Held, Hold, Identity, Key, Removal, Step, diff::desired_hash, gate::unread},
    runtime::traces,
};

/// Writes of one platform at the same time.
const CONCURRENCY: usize = 8;

/// What calls for a platform are made with.
#[derive(Clone, Copy)]
pub(super) struct Calls<'a> {
    pub(super) writer: &'a Writer,
    pub(super) identity: &'a Identity,
    /// What failed before and is not tried again yet.
    pub(super) failed: &'a [Failure],
}

/// A plan that is being carried out.
pub(super) struct Waves<'a> {
    calls: Calls<'a>,
    fights: &'a mut Fights,
    applied: Applied,
    onward: Onward,
    /// Objects that are not as they should be yet.
    unwritten: BTreeSet<Key>,
}

impl<'a> Waves<'a> {
    /// Before the first of `steps`, with what the plan holds back and what is somebody else's.
    pub(super) fn new(
        calls: Calls<'a>,
        fights: &'a mut Fights,
        held: Vec<Held>,
        foreign: Vec<Foreign>,
        steps: &[Step],
    ) -> Self {
        let secrets_changed = held.iter().any(|held| held.key.kind == "Secret");
        let applied = Applied { secrets_changed, held, foreign, ..Applied::default() };
        let unwritten = steps.iter().map(|step| step.key.clone()).collect();
        Self { calls, fights, applied, onward: Onward::All, unwritten }
    }

    /// Whether nothing of `wave` may be done, nor of those after it.
    pub(super) fn is_over(&mut self, wave: Wave) -> bool {
        if self.applied.foreign.iter().any(|foreign| foreign.hinders() && foreign.wave < wave) {
            self.onward = Onward::Nothing;
        }
        self.onward == Onward::Nothing
    }

    /// What is to be done of a wave. The rest is held back.
    pub(super) fn due<'s>(&mut self, wave: &'s [Step]) -> Vec<&'s Step> {
        let unread = unread(&self.applied.held, wave[0].wave).cloned();
        let mut due = Vec::new();
        for step in wave {
            match waits(step, self.onward, unread.as_ref()) {
                Some(why) => self.applied.held.push(held(step, Hold::Turn, &why)),
                None => due.push(step),
            }
        }
        due
    }

    /// Does what is due, but for what is to be left alone.
    pub(super) async fn carry_out<'s>(&self, due: Vec<&'s Step>, now: Instant) -> Vec<(&'s Step, Outcome)> {
        let (Calls { writer, identity, failed }, truces) = (self.calls, &*self.fights);
        let calls = due.into_iter().map(|step| async move {
            if let Some(failure) = failed.iter().find(|failure| failure.key == step.key) {
                return (step, Outcome::TooSoon(failure.clone()));
            }
            if truces.is_truce(&step.key, now) {
                return (step, Outcome::Held(Hold::Truce, TRUCE.to_owned()));
            }
            if let Some(message) = truces.foreign(&step.key, now) {
                return (step, Outcome::Foreign(message.to_owned()));
            }
            let span = traces::write(&step.key.kind, &step.key.name);
            (step, run(writer, identity, step).instrument(span).await)
        });
        writer.lanes().side_by_side(CONCURRENCY, calls).await
    }

    /// Notes what became of a step that was done `at` a time, and settles what others claim.
    pub(super) async fn take_in(&mut self, step: &Step, outcome: Outcome, at: Instant) {
        let outcome = match outcome {
            Outcome::Conflict(conflicts, body) => {
                conflicts::take_back(self.calls.writer, step, conflicts, &body, self.fights, &mut self.applied).await
            }
            other => other,
        };
        if let (Outcome::Written(version), Action::Apply { body, .. }) = (&outcome, &step.action) {
            self.fights.wrote(&step.key, desired_hash(body).unwrap_or_default(), version.clone(), at);
            if self.fights.is_truce(&step.key, at) {
                warn!(object = %step.key, "left alone for a while: {TRUCE}");
            }
        }
        if let Outcome::Foreign(message) = &outcome {
            self.fights.note_foreign(&step.key, message, at);
        }
        self.onward = self.onward.max(after(step, &outcome));
        if matches!(outcome, Outcome::Written(_) | Outcome::InOrder) {
            self.unwritten.remove(&step.key);
        }
        self.applied.note(step, outcome);
    }

    /// Removes what is no longer wanted and may go now. Returns what became of all.
    pub(super) async fn remove(mut self, all: &[Removal]) -> Applied {
        let due = all.iter().filter(|removal| removals::is_due(&removal.key, self.onward, &self.unwritten)).collect();
        removals::remove(self.calls.writer, due, self.calls.failed, &mut self.applied).await;
        self.applied
    }
}
