//! How far what other operators run for a platform is, and what they say when it is not. Pure: all of it is in the status
//! of the objects that were asked of them.

use serde_json::Value;
use todo_crds::{cloud_native_pg, strimzi};

use super::{Rollout, State};
use crate::{
    names,
    plan::Live,
    resolve::{KafkaMode, PostgresMode, Resolved},
    text::bounded,
};

/// Characters of another operator's words that are kept.
const MESSAGE: usize = 512;
/// What Strimzi gives as the reason while it makes something.
const CREATING: &str = "Creating";
/// Phase of a CloudNativePG cluster that is as it should be.
const HEALTHY: &str = "Cluster in healthy state";
/// Phases that a CloudNativePG cluster does not leave by itself.
const UNHEALTHY: [&str; 8] = [
    "Cluster cannot execute instance online upgrade due to missing architecture binary",
    "Cluster cannot proceed to reconciliation due to an error while interacting with plugins",
    "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
    "Cluster has incomplete or invalid image catalog",
    "Cluster is unrecoverable and needs manual intervention",
    "Invalid cluster definition",
    "Unable to create required cluster objects",
    "Waiting for user action",
];

/// Another operator that is asked for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub name: &'static str,
    /// Reason of a condition while its kinds are not there.
    pub missing: &'static str,
    /// Where its kinds are.
    pub group_version: &'static str,
    /// Those of its kinds that it is asked by.
    pub kinds: &'static [&'static str],
    /// Oldest release that has them.
    pub release: &'static str,
}

/// What runs Kafka.
pub const STRIMZI: Other = Other {
    name: "Strimzi",
    missing: "StrimziMissing",
    group_version: strimzi::GROUP_VERSION,
    kinds: &strimzi::KINDS,
    release: "0.49",
};

/// What runs PostgreSQL.
pub const CLOUD_NATIVE_PG: Other = Other {
    name: "CloudNativePG",
    missing: "CloudNativePgMissing",
    group_version: cloud_native_pg::GROUP_VERSION,
    kinds: &[cloud_native_pg::KIND],
    release: "1.25",
};

/// The operators that a platform needs.
pub fn needed(platform: &Resolved) -> Vec<Other> {
    let strimzi = matches!(platform.kafka.mode, KafkaMode::Strimzi(_)).then_some(STRIMZI);
    let postgres = matches!(platform.postgres.mode, PostgresMode::CloudNativePg(_)).then_some(CLOUD_NATIVE_PG);
    strimzi.into_iter().chain(postgres).collect()
}

/// A Kafka that Strimzi runs, with its user and its topics.
pub fn kafka(live: &Live) -> Rollout {
    let own = [("Kafka", names::KAFKA), ("KafkaUser", names::KAFKA_CLIENT)];
    let all = own.into_iter().chain(names::TOPICS.map(|topic| ("KafkaTopic", topic)));
    let parts: Vec<Rollout> = all.map(|(kind, name)| of_strimzi(kind, name, live)).collect();
    let ready = i32::from(parts.iter().all(Rollout::is_serving));
    // What is stuck is worth more words than what is on the way.
    let stuck = parts.iter().find(|part| matches!(part.state, State::Stuck { .. }));
    let unfinished = stuck.or_else(|| parts.iter().find(|part| part.state != State::Done));
    Rollout { desired: 1, ready, state: unfinished.map_or(State::Done, |part| part.state.clone()) }
}

fn of_strimzi(kind: &str, name: &str, live: &Live) -> Rollout {
    let Some(object) = live.get(kind, name) else { return absent() };
    let condition = |type_: &str, status: &str| {
        let all = object.data.pointer("/status/conditions").and_then(Value::as_array);
        all.into_iter().flatten().find(|condition| condition["type"] == type_ && condition["status"] == status)
    };
    let is_ready = condition("Ready", "True").is_some();
    let seen = object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
    let fault = condition("NotReady", "True").or_else(|| condition("Ready", "False"));
    let state = if let Some(fault) = fault {
        let message = format!("{kind}/{name}: {}", said(fault, "message", "Strimzi says that it is not ready"));
        match said(fault, "reason", CREATING) {
            CREATING => State::Progressing(bounded(&message, MESSAGE)),
            reason => State::Stuck { reason: word(reason, "NotReady"), message: bounded(&message, MESSAGE) },
        }
    } else if condition("ReconciliationPaused", "True").is_some() {
        let message = format!("{kind}/{name}: its annotation strimzi.io/pause-reconciliation keeps Strimzi from it");
        State::Stuck { reason: "ReconciliationPaused".to_owned(), message }
    } else if is_ready && seen >= object.metadata.generation {
        State::Done
    } else if is_ready {
        State::Progressing(format!("{kind}/{name}: the change has not been taken up yet"))
    } else {
        State::Progressing(untouched(kind, name, "Strimzi"))
    };
    Rollout { desired: 1, ready: i32::from(is_ready), state }.unless(live.is_outdated(kind, name))
}

/// A PostgreSQL that CloudNativePG runs. It serves while it has a primary, whatever becomes of the others.
pub fn postgres(live: &Live) -> Rollout {
    let (kind, name) = (cloud_native_pg::KIND, names::POSTGRES);
    let Some(cluster) = live.get(kind, name) else { return absent() };
    let number = |path: &str| cluster.data.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    let status = cluster.data.get("status").unwrap_or(&Value::Null);
    let (wanted, ready) = (number("/spec/instances"), number("/status/readyInstances"));
    let state = match said(status, "phase", "") {
        "" => State::Progressing(untouched(kind, name, "CloudNativePG")),
        HEALTHY if ready >= wanted => State::Done,
        phase => {
            let why = said(status, "phaseReason", "");
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            let message = bounded(&format!("{kind}/{name}: {phase}{why}; {ready} of {wanted} are ready"), MESSAGE);
            if UNHEALTHY.contains(&phase) {
                State::Stuck { reason: "ClusterIsNotReady".to_owned(), message }
            } else {
                State::Progressing(message)
            }
        }
    };
    let serves = ready > 0 && !said(status, "currentPrimary", "").is_empty();
    Rollout { desired: 1, ready: i32::from(serves), state }.unless(live.is_outdated(kind, name))
}

const fn absent() -> Rollout {
    Rollout { desired: 1, ready: 0, state: State::Absent }
}

fn untouched(kind: &str, name: &str, operator: &str) -> String {
    format!("{kind}/{name}: {operator} has not taken it up yet; its operator has to run and to watch this namespace")
}

fn said<'a>(object: &'a Value, field: &str, otherwise: &'a str) -> &'a str {
    object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or(otherwise)
}

/// A reason as conditions take it: one word. Strimzi's are names of Java's classes.
fn word(reason: &str, otherwise: &str) -> String {
    let fits = reason.starts_with(|c: char| c.is_ascii_alphabetic()) && reason.len() <= 128;
    let is_word = fits && reason.chars().all(|c| c.is_ascii_alphanumeric());
    if is_word { reason.to_owned() } else { otherwise.to_owned() }
}

#[cfg(test)]
#[path = "managed_tests.rs"]
mod tests;
