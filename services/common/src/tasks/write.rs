use sqlx::PgConnection;
use uuid::Uuid;

use super::{NewTask, Task, TaskError, TaskPatch, UserId};

/// Creates a task.
pub async fn create(connection: &mut PgConnection, user: &UserId, new: NewTask) -> Result<Task, TaskError> {
    let _ = (connection, user, new);
    todo!()
}

/// One task. A deleted one is not found.
pub async fn get(connection: &mut PgConnection, user: &UserId, id: Uuid) -> Result<Task, TaskError> {
    let _ = (connection, user, id);
    todo!()
}

/// Changes a task. With `expected` only if it still has that version.
pub async fn update(
    connection: &mut PgConnection,
    user: &UserId,
    id: Uuid,
    expected: Option<i64>,
    patch: TaskPatch,
) -> Result<Task, TaskError> {
    let _ = (connection, user, id, expected, patch);
    todo!()
}
