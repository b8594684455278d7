//! `POST /task-events`: the subscription of topic `task-events`.

use std::collections::HashMap;

use metrics::counter;
use sqlx::PgConnection;
use todo_common::{
    apps, canary,
    consumer::Consumer,
    events::{CloudEvent, EventType, TASK_EVENTS, TASK_EVENTS_DEAD, TaskEvent},
    problem::Problem,
    tasks::{self, Successor},
};
use uuid::Uuid;

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
    const NAME: &'static str = apps::RECURRING_TASK;
    const TOPIC: &'static str = TASK_EVENTS;
    const DEAD_LETTERS: &'static str = TASK_EVENTS_DEAD;
    const ROUTE: &'static str = "/task-events";
    type Data = TaskEvent;
    type Outcome = Outcome;

    /// To mark the canary's arrival twice changes nothing.
    fn is_marked(change: &TaskEvent) -> bool {
        !change.user_id.is_canary()
    }

    async fn handle(connection: &mut PgConnection, events: &[&CloudEvent<TaskEvent>]) -> Result<Vec<Outcome>, Problem> {
        let canaries: Vec<Uuid> = events
            .iter()
            .map(|event| &event.data)
            .filter(|change| change.user_id.is_canary())
            .map(|change| change.task_id)
            .collect();
        if !canaries.is_empty() {
            canary::mark_arrived(connection, &canaries).await?;
        }
        let completions: Vec<(Uuid, Option<&str>)> = events
            .iter()
            .filter(|event| is_completion(&event.data))
            .map(|event| (event.data.task_id, event.traceparent.as_deref()))
            .collect();
        let mut successors = if completions.is_empty() {
            HashMap::new()
        } else {
            tasks::create_successors(connection, &completions).await?
        };
        let outcome = |event: &&CloudEvent<TaskEvent>| {
            let change = &event.data;
            if change.user_id.is_canary() {
                return Outcome::Canary;
            }
            // Nothing is there of another publisher's task, of one that was removed for good, and for the second of two
            // completions.
            let successor = if is_completion(change) { successors.remove(&change.task_id) } else { None };
            successor.map_or(Outcome::Ignored, Outcome::Completed)
        };
        Ok(events.iter().map(outcome).collect())
    }

    fn count(_event: &CloudEvent<TaskEvent>, outcome: Option<&Outcome>) {
        if let Some(Outcome::Completed(Successor::Created(_))) = outcome {
            counter!("successors_created_total").increment(1);
        }
    }
}

fn is_completion(change: &TaskEvent) -> bool {
    change.event_type == EventType::Completed && !change.user_id.is_canary()
}
