use sqlx::PgConnection;
use uuid::Uuid;

use super::{Task, TaskError, UserId};

/// Completes a task. One that is completed stays as it is.
pub async fn complete(c: &mut PgConnection, user: &UserId, id: Uuid, expected: Option<i64>) -> Result<Task, TaskError> {
    let _ = (c, user, id, expected);
    todo!()
}

/// Opens a completed task again and takes back the occurrence that its completion made, if nobody touched that.
pub async fn reopen(c: &mut PgConnection, user: &UserId, id: Uuid, expected: Option<i64>) -> Result<Task, TaskError> {
    let _ = (c, user, id, expected);
    todo!()
}

/// Deletes a task; [`restore`] brings it back.
pub async fn delete(c: &mut PgConnection, user: &UserId, id: Uuid, expected: Option<i64>) -> Result<Task, TaskError> {
    let _ = (c, user, id, expected);
    todo!()
}

/// Brings a deleted task back.
pub async fn restore(c: &mut PgConnection, user: &UserId, id: Uuid) -> Result<Task, TaskError> {
    let _ = (c, user, id);
    todo!()
}
