use crate::{problem::FieldError, recurrence::GaveUp};

/// Why a task was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Fields with wrong values.
    #[error("wrong values: {}", .0.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// This user has no such task.
    #[error("this user has no such task")]
    NotFound,
    /// Somebody changed it since the caller read it.
    #[error("the task has version {current} by now")]
    Conflict {
        /// Its version.
        current: i64,
    },
    /// A series of which it cannot be told where it goes on.
    #[error(transparent)]
    Series(#[from] GaveUp),
    /// The database.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}
