//! What kind of failure something is. It decides how soon the next try is, which reason a condition gives, and the label
//! of the metric; the words of an error never do.

use std::fmt;

/// Kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Likely to be gone soon: network, overload, a deadline that passed.
    Transient,
    /// Somebody else changed the object at the same time.
    Conflict,
    /// The operator lacks a right.
    Forbidden,
    /// The API server refuses what was written.
    Invalid,
    /// Something that is needed does not exist.
    Missing,
    /// A mistake in the operator.
    Bug,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Transient, Self::Conflict, Self::Forbidden, Self::Invalid, Self::Missing, Self::Bug];

    /// Class of an answer of the API server, or of the failure to get one.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => Self::Forbidden,
                404 => Self::Missing,
                409 => Self::Conflict,
                400 | 405 | 413 | 415 | 422 => Self::Invalid,
                _ => Self::Transient,
            },
            kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Self::Bug,
            _ => Self::Transient,
        }
    }

    /// Reason of a condition or an event, and label of the metric.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Transient => "TransientError",
            Self::Conflict => "WriteConflict",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Refused",
            Self::Missing => "Missing",
            Self::Bug => "InternalError",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// Whether a write was refused because its namespace is being deleted. Nothing is wrong then, and nothing is to be done.
pub fn is_namespace_leaving(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == "NamespaceTerminating")
}

/// What the API server said, without the debug form of its answer that kube's own text repeats.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}
