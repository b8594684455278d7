//! From what was observed to the resource's status.

mod abnormal;
pub mod conditions;
mod rights;
mod verdict;
pub mod words;
pub mod write;

use k8s_openapi::jiff::Timestamp;
use todo_crds::platform::{ComponentStatus, OwnershipConflict, ServiceStatus, TodoPlatformStatus};

use crate::{
    apply::Dispute,
    names,
    observe::{Observed, ServiceObserved, managed},
};
pub use verdict::Verdict;

/// What a pass came to.
#[derive(Clone, Debug)]
pub enum Assessment {
    /// It ran to its end.
    Observed(Box<Observed>),
    /// It ended before anything was built or touched.
    Stopped(Stop),
    /// The platform is suspended: it is looked at and not touched.
    Suspended(Box<Observed>),
}

/// Why a pass ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Another platform has the namespace.
    Conflict {
        /// Its name.
        other: String,
    },
    /// The spec is wrong.
    Invalid(String),
    /// Something failed that is likely to be gone soon, or is a mistake in the operator.
    Failed {
        /// Reason in one word.
        reason: String,
        /// In words.
        message: String,
    },
}

/// The status of a platform. What is the same as in `before` keeps its times.
pub fn assess(
    assessment: &Assessment,
    before: &TodoPlatformStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> TodoPlatformStatus {
    let generation = if takes_up_the_spec(assessment) { generation } else { before.observed_generation };
    let verdicts = conditions::of(assessment);
    let conditions = verdict::merge(&before.conditions, verdicts, generation, now);
    match assessment {
        // What was found before is still the best that is known.
        Assessment::Stopped(_) => TodoPlatformStatus { observed_generation: generation, conditions, ..before.clone() },
        Assessment::Observed(observed) | Assessment::Suspended(observed) => {
            let services = services(observed);
            let ready = observed.services.iter().filter(|service| service.is_serving());
            TodoPlatformStatus {
                observed_generation: generation,
                url: Some(observed.url.clone()),
                services_ready: Some(format!("{}/{}", ready.count(), services.len())),
                conditions,
                components: components(observed),
                services,
                ownership_conflicts: observed.disputes.iter().map(dispute).collect(),
            }
        }
    }
}

/// Whether a pass came far enough to do what the spec of now asks for.
const fn takes_up_the_spec(assessment: &Assessment) -> bool {
    match assessment {
        Assessment::Observed(observed) => observed.is_planned,
        Assessment::Stopped(Stop::Failed { .. }) => false,
        Assessment::Stopped(Stop::Conflict { .. } | Stop::Invalid(_)) | Assessment::Suspended(_) => true,
    }
}

fn components(observed: &Observed) -> Vec<ComponentStatus> {
    let component = |component: &crate::observe::ComponentObserved| ComponentStatus {
        name: component.name.clone(),
        type_: component.type_.clone(),
        version: component.version.clone(),
        loaded_by: component.loaded_by,
        expected: component.expected,
        message: component.message.clone(),
    };
    observed.components.iter().map(component).collect()
}

/// The four services; what is embedded is told by `InfrastructureReady`.
fn services(observed: &Observed) -> Vec<ServiceStatus> {
    let status = |service: &ServiceObserved| ServiceStatus {
        name: service.app.id().to_owned(),
        image: service.image.clone(),
        replicas: service.rollout.desired,
        ready: service.rollout.ready,
        needed: needed(service),
        sidecars: service.sidecars,
        message: words::service(service),
    };
    observed.services.iter().map(status).collect()
}

/// Told where it says something else than `replicas` and the spec do. The next pass goes by it: what a service was smaller by
/// for a while was not enough for it.
fn needed(service: &ServiceObserved) -> Option<i32> {
    let (needed, desired) = (service.needed, service.rollout.desired);
    (needed != service.wanted || (1..needed).contains(&desired)).then_some(needed)
}

fn dispute(dispute: &Dispute) -> OwnershipConflict {
    let message = if dispute.truce {
        "taken again and again; the operator leaves this object alone for five minutes. Stop the other one, or leave the \
         field out of what it applies"
    } else {
        "taken back by the operator; change it in the TodoPlatform instead"
    };
    OwnershipConflict {
        object: dispute.key.to_string(),
        field: crate::text::bounded(&dispute.conflict.field, 512),
        manager: crate::text::bounded(&dispute.conflict.manager, 128),
        message: message.to_owned(),
    }
}

/// Whether an object is one of Kafka's or PostgreSQL's.
pub(crate) fn is_infrastructure(kind: &str, name: &str) -> bool {
    [managed::STRIMZI, managed::CLOUD_NATIVE_PG].iter().any(|other| other.kinds.contains(&kind))
        || [names::KAFKA, names::POSTGRES].iter().any(|part| name == *part || name.starts_with(&format!("{part}-")))
        || [names::KAFKA_CLAIM, names::POSTGRES_CLAIM].contains(&name)
}
