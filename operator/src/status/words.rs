//! What conditions say, in words that name the object and what to do.

use crate::{class::bounded, dereference::MissingSecret, observe::ServiceObserved};

/// Characters of a condition's message.
pub const LIMIT: usize = 1024;

/// Several sentences as one message.
pub(super) fn sentences(parts: &[String]) -> String {
    bounded(&parts.join("; "), LIMIT)
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
    if missing.exists {
        format!("Secret {} has no key {}, or it is empty (needed by {users})", secret.name, secret.key)
    } else {
        format!("Secret {} with key {} does not exist (needed by {users})", secret.name, secret.key)
    }
}

/// What is wrong with a service, if something is.
pub(super) fn service(service: &ServiceObserved) -> Option<String> {
    if !service.without_sidecar.is_empty() {
        return Some(format!("{} has no sidecar (container daprd)", list(&service.without_sidecar)));
    }
    service.rollout.message().map(str::to_owned)
}
