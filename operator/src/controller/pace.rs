//! What is done in this pass and what in the next, and when that is due. Pure.

use std::time::{Duration, Instant};

use rand::Rng;

use super::memory::Memory;
use crate::{
    observe::{self, ServiceObserved},
    plan::{Action, Plan},
    status::{Assessment, Stop},
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

/// Passes in a row that may leave the status to the next one for the Secrets that they made.
const UNTOLD: u8 = 3;

/// When the next pass is due, if the status is left to it.
pub(super) fn tell_later(assessment: &Assessment, memory: &Memory, told_before: bool) -> Option<Duration> {
    let Assessment::Observed(observed) = assessment else { return None };
    let applied = &observed.applied;
    let well = applied.failures.is_empty() && applied.foreign.is_empty() && applied.conflicts.is_empty();
    let unread = memory.made_secrets && memory.untold < UNTOLD;
    let unseen = memory.unseen.is_awaited(Instant::now());
    // What an operator before this one told stands until the broker has answered, which has a limit of its own.
    let stands = told_before && !memory.has_told;
    let unanswered = memory.topics.unanswered().filter(|waited| stands || *waited < PATIENCE);
    // An answer sets off a pass by itself.
    let wait = unanswered.map(|waited| if waited < PATIENCE { PATIENCE } else { ON_THE_WAY });
    if unread || unseen { Some(AT_ONCE) } else { wait }.filter(|_| well)
}

/// When the next pass is due.
pub(super) fn next(assessment: &Assessment, memory: &mut Memory, generation: Option<i64>) -> Duration {
    let now = Instant::now();
    match assessment {
        Assessment::Observed(observed) => {
            if observed.applied.failures.is_empty() && observed.secrets_unreadable.is_none() {
                memory.backoff.succeed();
            } else {
                memory.backoff.fail(generation, now);
            }
            let settled = observed.applied.held.is_empty() && observed.services.iter().all(ServiceObserved::is_ready);
            let usual = match (memory.made_secrets, settled) {
                (true, _) => AT_ONCE,
                (false, true) => AT_REST,
                (false, false) => ON_THE_WAY,
            };
            observe::next_look(&observed.data_path, usual)
        }
        Assessment::Suspended(observed) => observe::next_look(&observed.data_path, AT_REST),
        Assessment::Stopped(Stop::Conflict { .. } | Stop::Invalid(_)) => FOR_A_PERSON,
        Assessment::Stopped(Stop::Failed { .. }) => memory.backoff.fail(generation, now),
    }
}

/// A little less, so that many platforms do not all come at the same moment.
pub(super) fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.9..1.0))
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

    fn key(kind: &str) -> Key {
        Key { kind: kind.to_owned(), name: "x".to_owned() }
    }

    fn secrets() -> ApiResource {
        ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&())
    }

    fn created(kind: &str) -> Step {
        let action = Action::Create(Box::new(DynamicObject::new("x", &secrets())));
        Step { wave: Wave::Identity, key: key(kind), resource: secrets(), action }
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
