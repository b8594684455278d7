//! How the errors of the modules below look to a caller. What is inside of a 5xx is logged here and nowhere else.

use super::{FieldError, Problem};
use crate::{dapr, database, tasks::TaskError};

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if has_code(&error, |code| code == READ_ONLY) {
            database::note_read_only();
        }
        if has_code(&error, |code| SLOW_CODES.contains(&code)) {
            tracing::warn!(%error, "the database took too long");
            return Self::slow("the database took too long");
        }
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
        _ => has_code(error, |code| {
            AWAY_CLASSES.iter().any(|class| code.starts_with(class)) || AWAY_CODES.contains(&code)
        }),
    }
}

/// 08: connection, 28: the password, which was changed and comes anew with the next pod, 40: serialization and deadlock, 53:
/// resources, 57: operator intervention, time-outs.
const AWAY_CLASSES: [&str; 5] = ["08", "28", "40", "53", "57"];
/// After a failover it is another server that takes writes; a transaction that was idle for too long; a lock that was not had in
/// time.
const AWAY_CODES: [&str; 3] = [READ_ONLY, "25P03", "55P03"];
const READ_ONLY: &str = "25006";
/// A statement that was ended after its time, and a lock that was not had in time.
const SLOW_CODES: [&str; 2] = ["57014", "55P03"];

fn has_code(error: &sqlx::Error, is_one: impl FnOnce(&str) -> bool) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| is_one(&code)))
}

impl From<FieldError> for Problem {
    fn from(wrong: FieldError) -> Self {
        // All of it is wrong where no field is named.
        if wrong.field.is_empty() {
            Self::invalid(Vec::new()).detail(wrong.message)
        } else {
            Self::invalid(vec![wrong])
        }
    }
}

impl From<TaskError> for Problem {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Invalid(errors) => Self::invalid(errors),
            TaskError::NotFound => Self::not_found("this user has no such task"),
            TaskError::Conflict { current } => {
                Self::stale(format!("the task has version {current} by now: read it and try again"))
            }
            TaskError::Series(error) => Self::invalid(vec![FieldError::new("recurrence", error.to_string())]),
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
