//! The conditions that are True when something is under way or wrong. Pure.

use todo_crds::platform::condition;

use super::{Verdict, conditions::UNREADABLE, words};
use crate::{
    apply::topics::Topics,
    observe::{Observed, State},
    plan::Hold,
};

/// Whether something is being rolled out.
pub(super) fn progressing(observed: &Observed, suspended: bool) -> Verdict {
    const TYPE: &str = condition::PROGRESSING;
    if suspended {
        return Verdict::no(TYPE, "Suspended", "spec.suspend is true: the operator looks and changes nothing");
    }
    let rollouts = observed
        .infrastructure
        .parts
        .iter()
        .map(|(name, part)| (*name, &part.rollout))
        .chain(observed.services.iter().map(|service| (service.app.id(), &service.rollout)));
    let under_way: Vec<String> = rollouts
        .filter(|(_, rollout)| matches!(rollout.state, State::Progressing(_) | State::Absent))
        .map(|(name, _)| name.to_owned())
        .collect();
    if under_way.is_empty() {
        Verdict::no(TYPE, "Settled", "nothing is being rolled out")
    } else {
        Verdict::yes(TYPE, "RollingOut", format!("{} on the way", words::list(&under_way)))
    }
}

/// Whether something is wrong that what serves outlives: the first that is, as later ones may come of it.
pub(super) fn degraded(observed: &Observed) -> Verdict {
    const TYPE: &str = condition::DEGRADED;
    if let Some(why) = &observed.secrets_unreadable {
        return Verdict::yes(TYPE, UNREADABLE, format!("nothing can be changed: {why}"));
    }
    if let Some(failure) = observed.applied.failures.first() {
        let message = format!("cannot write {}: {}", failure.key, failure.message);
        return Verdict::yes(TYPE, failure.class.reason(), message);
    }
    if let Some(foreign) = observed.applied.foreign.first() {
        return Verdict::yes(
            TYPE,
            "ForeignObject",
            format!("{} is not the operator's: {}", foreign.key, foreign.message),
        );
    }
    let stuck = observed
        .infrastructure
        .parts
        .iter()
        .map(|(name, part)| (*name, &part.rollout))
        .chain(observed.services.iter().map(|service| (service.app.id(), &service.rollout)))
        .find_map(|(name, rollout)| match &rollout.state {
            State::Stuck { reason, message } => Some(format!("the rollout of {name} is stuck ({reason}): {message}")),
            _ => None,
        });
    if let Some(message) = stuck {
        return Verdict::yes(TYPE, "RolloutStuck", message);
    }
    let wanting = observed.missing_secrets.iter().filter(|missing| !missing.is_on_the_way());
    let parts: Vec<String> = wanting.map(words::missing_secret).collect();
    if !parts.is_empty() {
        return Verdict::yes(TYPE, "SecretMissing", words::sentences(&parts));
    }
    if let Some(dispute) = observed.disputes.iter().find(|dispute| dispute.truce) {
        let message = format!(
            "{} takes {} of {} again and again; the operator leaves that object alone for a while",
            dispute.conflict.manager, dispute.conflict.field, dispute.key
        );
        return Verdict::yes(TYPE, "OwnershipFight", message);
    }
    if let Some(held) = observed.applied.held.iter().find(|held| held.hold == Hold::Truce) {
        let message = format!("{held}; the operator leaves that object alone for a while");
        return Verdict::yes(TYPE, "OwnershipFight", message);
    }
    if let Topics::Differing(topics) = &observed.infrastructure.topics {
        return Verdict::yes(TYPE, "PartitionsDiffer", words::partitions(topics));
    }
    // Each is asked for, and nothing else needs it.
    for (kind, reason) in [
        ("HTTPRoute", "GatewayApiMissing"),
        ("PodMonitor", "PrometheusOperatorMissing"),
        ("PrometheusRule", "PrometheusOperatorMissing"),
    ] {
        if let Some(held) = observed.applied.held.iter().find(|held| held.key.kind == kind) {
            return Verdict::yes(TYPE, reason, format!("{} waits: {}", held.key, held.reason));
        }
    }
    // Of kinds that others bring and have not brought, the conditions of those tell.
    let is_told = |kind: &str| {
        observed.cluster.missing_dapr_kinds().contains(&kind)
            || observed.infrastructure.missing.iter().any(|other| other.kinds.contains(&kind))
    };
    for (hold, reason) in [(Hold::Unwatched, "KindUnwatched"), (Hold::Leaving, "BeingDeleted")] {
        let mut held = observed.applied.held.iter().filter(|held| held.hold == hold && !is_told(&held.key.kind));
        if let Some(held) = held.next() {
            return Verdict::yes(TYPE, reason, format!("{} waits: {}", held.key, held.reason));
        }
    }
    Verdict::no(TYPE, "AsExpected", "nothing is wrong")
}
