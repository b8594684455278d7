//! What conditions say, in words that name the object and what to do.

use crate::{
    dereference::{MissingSecret, cluster::Cluster},
    observe::{ServiceObserved, managed::Other},
    plan::Held,
    resolve::Maker,
    text::bounded,
};

/// Characters of a condition's message.
pub const LIMIT: usize = 1024;

/// Several sentences as one message.
pub(super) fn sentences(parts: &[String]) -> String {
    bounded(&parts.join("; "), LIMIT)
}

/// An object that is not made yet.
pub(super) fn waits(held: &Held) -> String {
    format!("{} waits: {}", held.key, held.reason)
}

/// A list as people write it.
pub(super) fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    }
}

/// A missing Secret or key, and who needs it.
pub(super) fn missing_secret(missing: &MissingSecret) -> String {
    let secret = &missing.secret;
    let users: Vec<&String> = secret.used_by.iter().collect();
    let users = list(&users);
    if let Maker::Other(operator) = secret.maker
        && !missing.exists
    {
        format!(
            "Secret {} with key {} is not there yet, {operator} makes it (needed by {users})",
            secret.name, secret.key
        )
    } else if missing.exists {
        format!("Secret {} has no key {}, or it is empty (needed by {users})", secret.name, secret.key)
    } else {
        format!("Secret {} with key {} does not exist (needed by {users})", secret.name, secret.key)
    }
}

/// What may be in the cluster or not.
pub(super) fn unanswered(what: &str) -> String {
    format!("the API server has not answered yet whether the cluster has {what}; the operator asks again by itself")
}

/// Another operator that is not installed, or too old.
pub(super) fn missing_operator(other: &Other, cluster: &Cluster) -> String {
    format!(
        "{name} is not installed: the cluster has no {kinds} of {group}. Install {name} {release} or later; the operator goes \
         on by itself",
        name = other.name,
        kinds = list(&cluster.missing(other.kinds)),
        group = other.group_version,
        release = other.release,
    )
}

/// Topics whose partitions are not as many as the spec says.
pub(super) fn partitions(topics: &[(String, usize)]) -> String {
    let topics: Vec<String> = topics.iter().map(|(topic, partitions)| format!("{topic} has {partitions}")).collect();
    let message = format!(
        "the topics have other numbers of partitions than spec.kafka.topics.partitions says: {}; write what there is, or leave \
         it out, as the operator changes nothing in somebody else's Kafka",
        list(&topics)
    );
    bounded(&message, LIMIT)
}

/// What is wrong with a service, if something is.
pub(super) fn service(service: &ServiceObserved) -> Option<String> {
    let message = if service.without_sidecar.is_empty() {
        service.rollout.message()?.to_owned()
    } else {
        format!("{} has no sidecar (container daprd)", list(&service.without_sidecar))
    };
    Some(bounded(&message, LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        names::App,
        observe::{Rollout, State},
    };

    #[test]
    fn what_is_said_of_a_service_fits_into_the_status_however_many_pods_it_has() {
        let without_sidecar = (0..100).map(|n| format!("backend-service-7d9f8c6b5-{n:05}")).collect();
        let rollout = Rollout { desired: 100, ready: 100, state: State::Done };
        let (app, image) = (App::Backend, String::new());
        let message =
            service(&ServiceObserved { app, image, rollout, needed: 100, wanted: 100, sidecars: 0, without_sidecar });
        assert_eq!(message.map(|message| message.chars().count()), Some(LIMIT));
    }
}
