//! How the errors of the modules below look to a caller. What is inside of a 5xx is logged here and nowhere else.

use super::Problem;
use crate::{dapr, tasks::TaskError};

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if database_is_away(&error) {
            tracing::warn!(%error, "the database is away");
            return Self::unavailable("the database is away");
        }
        tracing::error!(%error, "the database refused a statement");
        Self::internal()
    }
}

/// Whether waiting helps, because the server is not reachable, is stopping or is too busy.
pub(crate) fn database_is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        // 08: connection, 40: serialization and deadlock, 53: resources, 55P03: lock timeout, 57: operator intervention, time-outs.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03"
        }),
        _ => false,
    }
}

impl From<TaskError> for Problem {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Invalid(errors) => Self::invalid(errors),
            TaskError::NotFound => Self::not_found("this user has no such task"),
            TaskError::Conflict { current } => {
                Self::conflict(format!("the task has version {current} by now: read it and try again"))
            }
            TaskError::Database(error) => error.into(),
        }
    }
}

impl From<dapr::Error> for Problem {
    fn from(error: dapr::Error) -> Self {
        match error {
            dapr::Error::Conflict => Self::conflict("somebody else saved it first: read it and try again"),
            error if error.is_transient() => {
                tracing::warn!(error = error.outline(), "the sidecar could not do it");
                Self::unavailable("the sidecar could not do it")
            }
            error => {
                tracing::error!(error = error.outline(), "the sidecar refused a call");
                Self::internal()
            }
        }
    }
}
