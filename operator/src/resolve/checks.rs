//! What is wrong with a resource.

use std::fmt;

use todo_crds::platform as api;

use super::{SecretRef, check};

/// One thing that is wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, for example `spec.kafka.external.brokers[0]`.
    pub path: String,
    /// What is wrong, and what to write.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Collects what is wrong, so that a user learns all of it at once.
#[derive(Default)]
pub(super) struct Checks(Vec<Violation>);

impl Checks {
    /// `value`, unless something is wrong.
    pub(super) fn done<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }

    pub(super) fn refuse(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Violation { path: path.into(), message: message.into() });
    }

    /// The value, or the violation noted and nothing.
    pub(super) fn take<T>(&mut self, path: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.refuse(path, message)).ok()
    }

    /// Notes the violation, if there is one.
    pub(super) fn test(&mut self, path: &str, result: Result<(), String>) {
        self.take(path, result);
    }

    /// At most one of several fields.
    pub(super) fn at_most_one(&mut self, path: &str, given: &[(&str, bool)]) {
        let given: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if given.len() > 1 {
            self.refuse(path, format!("has {}; give at most one of them", given.join(" and ")));
        }
    }

    /// A field that a later version will support; `instead` says what to write until then.
    pub(super) fn unsupported(&mut self, path: &str, instead: &str) {
        self.refuse(path, format!("is not supported by this version of the operator; {instead}"));
    }

    /// A key of a Secret.
    pub(super) fn secret(&mut self, path: &str, value: &api::SecretValue) -> SecretRef {
        let reference = &value.secret_key_ref;
        self.test(&format!("{path}.secretKeyRef.name"), check::object_name(&reference.name));
        self.test(&format!("{path}.secretKeyRef.key"), check::secret_key(&reference.key));
        SecretRef::new(&reference.name, &reference.key)
    }
}
