//! The conditions that are True when something is under way or wrong. Pure.

use todo_crds::platform::condition;

use super::{
    Verdict,
    conditions::UNREADABLE,
    verdict::{Cause, Check},
    words,
};
use crate::{
    observe::{Observed, State},
    plan::{Held, Hold},
    topics::Topics,
};

/// Whether something is being rolled out.
pub(super) fn progressing(observed: &Observed, suspended: bool) -> Verdict {
    const TYPE: &str = condition::PROGRESSING;
    if suspended {
        return Verdict::no(TYPE, "Suspended", "spec.suspend is true: the operator looks and changes nothing");
    }
    let under_way: Vec<&str> = observed
        .rollouts()
        .filter(|(_, rollout)| matches!(rollout.state, State::Progressing(_) | State::Absent))
        .map(|(name, _)| name)
        .collect();
    if under_way.is_empty() {
        Verdict::no(TYPE, "Settled", "nothing is being rolled out")
    } else {
        Verdict::yes(TYPE, "RollingOut", format!("{} on the way", words::list(&under_way)))
    }
}

/// What may be wrong that what serves outlives.
const CAUSES: [Check; 12] = [
    secrets_unreadable,
    deletion_policy_not_applied,
    write_failed,
    foreign,
    rollout_stuck,
    secret_missing,
    fight,
    left_alone,
    partitions_differ,
    kind_missing,
    unwatched,
    leaving,
];

/// Whether something is wrong that what serves outlives.
pub(super) fn degraded(observed: &Observed) -> Verdict {
    const TYPE: &str = condition::DEGRADED;
    match Cause::first(&CAUSES, observed) {
        Some(cause) => Verdict::yes(TYPE, &cause.reason, cause.message),
        None => Verdict::no(TYPE, "AsExpected", "nothing is wrong"),
    }
}

fn secrets_unreadable(observed: &Observed) -> Option<Cause> {
    let why = observed.secrets_unreadable.as_ref()?;
    Some(Cause::new(UNREADABLE, format!("nothing can be changed: {why}")))
}

/// Who deletes the platform would lose what is to be kept.
fn deletion_policy_not_applied(observed: &Observed) -> Option<Cause> {
    let fates = &observed.applied.fates;
    if fates.is_empty() {
        return None;
    }
    let goes = fates.iter().any(|fate| fate.goes);
    let objects: Vec<String> = fates.iter().filter(|fate| fate.goes == goes).map(|fate| fate.key.to_string()).collect();
    let fate = if goes { "would still be deleted with the platform" } else { "would still stay without the platform" };
    let message = format!(
        "resume (spec.suspend: false) before you delete the platform: deletionPolicy has not been applied while it is \
         suspended, and these {fate}: {}",
        words::list(&objects)
    );
    Some(Cause::new("DeletionPolicyNotApplied", message))
}

fn write_failed(observed: &Observed) -> Option<Cause> {
    observed.applied.failures.first().map(Cause::failed)
}

fn foreign(observed: &Observed) -> Option<Cause> {
    observed.applied.foreign.first().map(Cause::foreign)
}

fn rollout_stuck(observed: &Observed) -> Option<Cause> {
    observed.rollouts().find_map(|(name, rollout)| match &rollout.state {
        State::Stuck { reason, message } => {
            Some(Cause::new("RolloutStuck", format!("the rollout of {name} is stuck ({reason}): {message}")))
        }
        _ => None,
    })
}

fn secret_missing(observed: &Observed) -> Option<Cause> {
    let wanting = observed.missing_secrets.iter().filter(|missing| !missing.is_on_the_way());
    let parts: Vec<String> = wanting.map(words::missing_secret).collect();
    (!parts.is_empty()).then(|| Cause::new("SecretMissing", words::sentences(&parts)))
}

fn fight(observed: &Observed) -> Option<Cause> {
    let dispute = observed.disputes.iter().find(|dispute| dispute.truce)?;
    let message = format!(
        "{} takes {} of {} again and again; the operator leaves that object alone for a while",
        dispute.conflict.manager, dispute.conflict.field, dispute.key
    );
    Some(Cause::new("OwnershipFight", message))
}

fn left_alone(observed: &Observed) -> Option<Cause> {
    let held = observed.applied.held.iter().find(|held| held.hold == Hold::Truce)?;
    Some(Cause::new("OwnershipFight", format!("{held}; the operator leaves that object alone for a while")))
}

fn partitions_differ(observed: &Observed) -> Option<Cause> {
    match &observed.infrastructure.topics {
        Topics::Differing(topics) => Some(Cause::new("PartitionsDiffer", words::partitions(topics))),
        _ => None,
    }
}

/// Each is asked for, and nothing else needs it.
fn kind_missing(observed: &Observed) -> Option<Cause> {
    const KINDS: [(&str, &str); 3] = [
        ("HTTPRoute", "GatewayApiMissing"),
        ("PodMonitor", "PrometheusOperatorMissing"),
        ("PrometheusRule", "PrometheusOperatorMissing"),
    ];
    KINDS.iter().find_map(|(kind, reason)| {
        let held = observed.applied.held.iter().find(|held| held.key.kind == *kind)?;
        if observed.cluster.is_unanswered(&[kind]) {
            return None;
        }
        Some(Cause::new(reason, words::waits(held)))
    })
}

fn unwatched(observed: &Observed) -> Option<Cause> {
    untold(observed, Hold::Unwatched).map(|held| Cause::new("KindUnwatched", words::waits(held)))
}

fn leaving(observed: &Observed) -> Option<Cause> {
    untold(observed, Hold::Leaving).map(|held| Cause::new("BeingDeleted", words::waits(held)))
}

/// What is held back so. Of kinds that others bring and have not brought, the conditions of those tell; and whether the others
/// are there nobody may know yet.
fn untold(observed: &Observed, hold: Hold) -> Option<&Held> {
    let is_told = |kind: &str| {
        observed.cluster.is_unanswered(&[kind])
            || observed.cluster.missing_dapr_kinds().contains(&kind)
            || observed.infrastructure.missing.iter().any(|other| other.kinds.contains(&kind))
    };
    observed.applied.held.iter().find(|held| held.hold == hold && !is_told(&held.key.kind))
}
