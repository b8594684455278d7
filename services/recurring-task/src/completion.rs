//! `POST /process-completion`: the same as the subscription does, for callers and for replay.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use todo_common::{
    database::Database,
    problem::{FieldError, Json, Problem},
    tasks::{self, Successor, Task},
};
use uuid::Uuid;

/// What became of a completion.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    status: &'static str,
    next_task: Option<Task>,
}

impl From<Successor> for Answer {
    fn from(successor: Successor) -> Self {
        let (status, next_task) = match successor {
            Successor::Created(task) => ("processed", Some(*task)),
            Successor::AlreadyCreated(task) => ("already_created", task.map(|task| *task)),
            Successor::NotRecurring => ("not_recurring", None),
            Successor::NotCompleted => ("not_completed", None),
        };
        Self { status, next_task }
    }
}

/// Takes a task, as in the specification, or a whole task event.
pub(crate) async fn process(
    State(database): State<Database>,
    Json(body): Json<Value>,
) -> Result<Json<Answer>, Problem> {
    let task_id = task_id(&body).map_err(|mistake| Problem::invalid(vec![mistake]))?;
    let mut transaction = database.begin().await?;
    let successor = tasks::create_successor(&mut transaction, task_id).await?;
    database.commit(transaction).await?;
    Ok(Json(successor.into()))
}

/// Only the id counts: whether the task is completed and how it repeats is read from the database.
fn task_id(body: &Value) -> Result<Uuid, FieldError> {
    if let Some(event_type) = body.get("event_type")
        && event_type != "completed"
    {
        return Err(FieldError::new("event_type", "must be `completed`"));
    }
    let (field, id) = match (body.get("task_id"), body.get("id")) {
        (Some(id), _) => ("task_id", Some(id)),
        (None, id) => ("id", id),
    };
    id.and_then(Value::as_str)
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| FieldError::new(field, "must be the id of a task"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TASK: &str = "0190b2f4-5c3e-7d1a-9a4b-1f2e3d4c5b6a";

    #[test]
    fn a_task_and_an_event_name_the_task() {
        for body in [
            json!({"id": TASK, "title": "Water the plants"}),
            json!({"event_type": "completed", "task_id": TASK, "user_id": "ada", "task_data": {"id": TASK}}),
        ] {
            assert_eq!(task_id(&body).unwrap().to_string(), TASK);
        }
    }

    #[test]
    fn other_events_and_other_shapes_are_refused() {
        for body in [json!({"event_type": "created", "task_id": TASK}), json!({"id": 7}), json!({}), json!([])] {
            assert!(task_id(&body).is_err(), "{body}");
        }
    }
}
