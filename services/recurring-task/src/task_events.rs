//! `POST /task-events`: the subscription of topic `task-events`.

use metrics::counter;
use sqlx::PgConnection;
use todo_common::{
    canary,
    consumer::Consumer,
    events::{CloudEvent, EventType, TASK_EVENTS, TASK_EVENTS_DEAD, TaskEvent},
    problem::Problem,
    tasks::{self, Successor, TaskError},
};

/// Handles changes of tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskEvents;

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It needs nothing to be done.
    Ignored,
    /// The canary has arrived.
    Canary,
    /// A task was completed.
    Completed(Successor),
}

impl Consumer for TaskEvents {
    const NAME: &'static str = "recurring-task-service";
    const TOPIC: &'static str = TASK_EVENTS;
    const DEAD_LETTERS: &'static str = TASK_EVENTS_DEAD;
    const ROUTE: &'static str = "/task-events";
    type Data = TaskEvent;
    type Outcome = Outcome;

    /// To mark the canary's arrival twice changes nothing.
    fn is_marked(change: &TaskEvent) -> bool {
        !change.user_id.is_canary()
    }

    async fn handle(connection: &mut PgConnection, event: &CloudEvent<TaskEvent>) -> Result<Outcome, Problem> {
        let change = &event.data;
        if change.user_id.is_canary() {
            canary::mark_arrived(connection, change.task_id).await?;
            return Ok(Outcome::Canary);
        }
        if change.event_type != EventType::Completed {
            return Ok(Outcome::Ignored);
        }
        match tasks::create_successor(connection, change.task_id).await {
            Ok(successor) => Ok(Outcome::Completed(successor)),
            // Of another publisher, or removed for good.
            Err(TaskError::NotFound) => Ok(Outcome::Ignored),
            Err(error) => Err(error.into()),
        }
    }

    fn count(_event: &CloudEvent<TaskEvent>, outcome: Option<&Outcome>) {
        if let Some(Outcome::Completed(Successor::Created(_))) = outcome {
            counter!("successors_created_total").increment(1);
        }
    }
}
