//! What is done in this pass and what in the next, and when that is due. Pure.

use std::time::{Duration, Instant};

use super::memory::{Memory, unseen::Unseen};
use crate::{
    observe::{self, ServiceObserved},
    plan::{Action, Plan, Step},
    status::Assessment,
};

/// Between two passes over a platform that is as it should be.
const AT_REST: Duration = Duration::from_millis(4500);
/// Between two passes over one that is not there yet.
const ON_THE_WAY: Duration = Duration::from_millis(2500);
/// Before a pass that has new Secrets to read, or sees what the one before it wrote.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How long a status waits for a broker that has not been asked before. One that is well answers sooner.
const PATIENCE: Duration = Duration::from_millis(300);
/// Before a look at a platform that waits for a person.
pub(super) const FOR_A_PERSON: Duration = Duration::from_secs(15);
/// Before it is looked whether the watches are complete.
const NOT_YET: Duration = Duration::from_secs(1);
/// Before it is looked whether this replica leads. All platforms come when it begins to, but a lead that ran out and was
/// renewed a moment later is no beginning.
const NOT_LEADING: Duration = Duration::from_secs(5);

/// When to look again, if this is no time for a pass.
pub(super) const fn not_now(leads: bool, may_begin: bool) -> Option<Duration> {
    match (leads, may_begin) {
        (false, _) => Some(NOT_LEADING),
        (true, false) => Some(NOT_YET),
        (true, true) => None,
    }
}

/// Whether a plan makes Secrets.
pub(super) fn makes_secrets(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.key.kind == "Secret" && matches!(step.action, Action::Create(_)))
}

/// Leaves only Secrets in a plan that makes some. Pods carry the digests of what they read, and what a Secret really has
/// is known only once it is there: somebody else may have been faster.
pub(super) fn secrets_first(mut plan: Plan) -> Plan {
    if makes_secrets(&plan) {
        plan.steps.retain(|step| step.key.kind == "Secret");
        plan.removals.clear();
    }
    plan
}

/// Leaves out of a plan what was made only just now and no watch has brought yet.
pub(super) fn nothing_twice(mut plan: Plan, unseen: &Unseen, now: Instant) -> Plan {
    let is_new = |step: &Step| matches!(step.action, Action::Apply { present: None, .. });
    plan.steps.retain(|step| !(is_new(step) && unseen.is_awaited_of(&step.key, now)));
    plan
}

/// Passes in a row that may leave the status to the next one for the Secrets that they made.
const UNTOLD: u8 = 3;

/// What a pass in which all worked does not know yet, and a status would say of it that it is missing.
#[derive(Clone, Copy, Debug)]
enum Unknown {
    /// What is built from Secrets that were just made.
    Secrets,
    /// What the watches say of what was written.
    Events,
    /// What the broker answers, which was asked so long ago.
    Broker(Duration),
    Nothing,
}

/// When the next pass is due, if the status is left to it.
pub(super) fn tell_later(
    assessment: &Assessment,
    memory: &Memory,
    told_before: bool,
    now: Instant,
) -> Option<Duration> {
    let Assessment::Observed(observed) = assessment else { return None };
    let applied = &observed.applied;
    let well = applied.failures.is_empty() && applied.foreign.is_empty() && applied.conflicts.is_empty();
    // What an operator before this one told stands until the broker has answered, which has a limit of its own.
    well.then(|| patience(unknown(memory, now), told_before && !memory.has_told)).flatten()
}

fn unknown(memory: &Memory, now: Instant) -> Unknown {
    if memory.made_secrets && memory.untold < UNTOLD {
        Unknown::Secrets
    } else if memory.unseen.is_awaited(now) {
        Unknown::Events
    } else {
        memory.topics.unanswered(now).map_or(Unknown::Nothing, Unknown::Broker)
    }
}

/// How long a status waits for what is unknown. One that stands from before may wait longer for a broker.
fn patience(unknown: Unknown, stands: bool) -> Option<Duration> {
    match unknown {
        Unknown::Secrets | Unknown::Events => Some(AT_ONCE),
        // An answer sets off a pass by itself.
        Unknown::Broker(waited) if waited < PATIENCE => Some(PATIENCE),
        Unknown::Broker(_) if stands => Some(ON_THE_WAY),
        Unknown::Broker(_) | Unknown::Nothing => None,
    }
}

/// When the next pass is due, unless this one came to nothing.
pub(super) fn next(assessment: &Assessment, made_secrets: bool) -> Duration {
    match assessment {
        Assessment::Observed(observed) => {
            let settled = observed.applied.held.is_empty() && observed.services.iter().all(ServiceObserved::is_ready);
            let usual = match (made_secrets, settled) {
                (true, _) => AT_ONCE,
                (false, true) => AT_REST,
                (false, false) => ON_THE_WAY,
            };
            observe::next_look(&observed.data_path, usual)
        }
        Assessment::Suspended(observed) => observe::next_look(&observed.data_path, AT_REST),
        Assessment::Stopped(_) => FOR_A_PERSON,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ApiResource, DynamicObject};
    use serde_json::Value;

    use super::*;
    use crate::{
        build::Wave,
        plan::{Key, Removal, Step},
    };

    #[test]
    fn a_replica_that_does_not_lead_looks_again_by_itself() {
        assert_eq!(not_now(false, true), Some(NOT_LEADING));
        assert_eq!(not_now(true, false), Some(NOT_YET));
        assert_eq!(not_now(true, true), None);
    }

    #[test]
    fn a_status_waits_for_what_is_known_in_a_moment_and_for_a_slow_broker_only_if_one_from_before_stands() {
        let (soon, late) = (Unknown::Broker(PATIENCE / 2), Unknown::Broker(PATIENCE));
        for (unknown, stands, wait) in [
            (Unknown::Secrets, false, Some(AT_ONCE)),
            (Unknown::Secrets, true, Some(AT_ONCE)),
            (Unknown::Events, false, Some(AT_ONCE)),
            (Unknown::Events, true, Some(AT_ONCE)),
            (soon, false, Some(PATIENCE)),
            (soon, true, Some(PATIENCE)),
            (late, false, None),
            (late, true, Some(ON_THE_WAY)),
            (Unknown::Nothing, false, None),
            (Unknown::Nothing, true, None),
        ] {
            assert_eq!(patience(unknown, stands), wait, "{unknown:?}, stands: {stands}");
        }
    }

    #[test]
    fn what_is_made_first_is_what_a_status_waits_for_first_and_secrets_only_so_often() {
        let (key, now) = (key("Service"), Instant::now());
        let mut memory = Memory { made_secrets: true, ..Memory::default() };
        assert!(matches!(unknown(&memory, now), Unknown::Secrets));
        memory.unseen.wrote([(key, 10)], now);
        assert!(matches!(unknown(&memory, now), Unknown::Secrets));
        memory.untold = UNTOLD;
        assert!(matches!(unknown(&memory, now), Unknown::Events));
        assert!(matches!(unknown(&Memory::default(), now), Unknown::Nothing));
    }

    fn key(kind: &str) -> Key {
        Key { kind: kind.to_owned(), name: "x".to_owned() }
    }

    fn secrets() -> ApiResource {
        ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&())
    }

    fn created(kind: &str) -> Step {
        let action = Action::Create(Box::new(DynamicObject::new("x", &secrets())));
        Step { wave: Wave::Foundation, key: key(kind), resource: secrets(), action }
    }

    fn changed(kind: &str) -> Step {
        Step { action: Action::Relabel(Value::Null), ..created(kind) }
    }

    fn kinds(steps: Vec<Step>) -> Vec<String> {
        let removals = vec![Removal { key: key("Service"), resource: secrets(), uid: String::new() }];
        let plan = secrets_first(Plan { steps, removals, ..Plan::default() });
        assert_eq!(plan.removals.is_empty(), plan.steps.iter().all(|step| step.key.kind == "Secret"));
        plan.steps.into_iter().map(|step| step.key.kind).collect()
    }

    #[test]
    fn a_pass_that_makes_a_secret_makes_nothing_that_is_built_from_it() {
        assert_eq!(kinds(vec![changed("Deployment"), created("Secret")]), ["Secret"]);
        assert_eq!(kinds(vec![changed("Deployment"), changed("Secret")]), ["Deployment", "Secret"]);
    }
}
