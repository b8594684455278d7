use sqlx::PgConnection;
use uuid::Uuid;

use super::{Task, TaskError};

/// What became of the completion of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Successor {
    /// The next occurrence was created now.
    Created(Box<Task>),
    /// It had been created before; nothing if it was deleted since.
    AlreadyCreated(Option<Box<Task>>),
    /// The task does not repeat, or its rule has ended.
    NotRecurring,
    /// The task is open, for example because it was reopened meanwhile.
    NotCompleted,
}

/// Creates the next occurrence of a completed recurring task, once, with its event.
pub async fn create_successor(connection: &mut PgConnection, task_id: Uuid) -> Result<Successor, TaskError> {
    let _ = (connection, task_id);
    todo!()
}
