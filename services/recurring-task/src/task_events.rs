//! `POST /task-events`: the subscription of topic `task-events`.

use axum::extract::State;
use metrics::counter;
use todo_common::{
    canary,
    database::Database,
    events::{CloudEvent, EventType, Reply, TaskEvent},
    inbox,
    problem::Problem,
    tasks::{self, Successor, TaskError},
};

const CONSUMER: &str = "recurring-task-service";

/// Handles a change of a task.
pub(crate) async fn receive(State(database): State<Database>, event: CloudEvent<TaskEvent>) -> Reply {
    match handle(&database, &event).await {
        Ok(_) => Reply::Success,
        // The problem is in the log already.
        Err(_) => Reply::Retry,
    }
}

/// The same for an event that comes back as a dead letter.
pub(crate) async fn revive(database: Database, event: CloudEvent<TaskEvent>) -> Result<(), Problem> {
    handle(&database, &event).await.map(drop)
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It was handled before.
    Duplicate,
    /// It needs nothing to be done.
    Ignored,
    /// The canary has arrived.
    Canary,
    /// A task was completed.
    Completed(Successor),
}

/// The effect and its mark are one transaction.
pub(crate) async fn handle(database: &Database, event: &CloudEvent<TaskEvent>) -> Result<Outcome, Problem> {
    let mut transaction = database.begin().await?;
    if event.data.user_id.is_canary() {
        canary::mark_arrived(&mut transaction, event.data.task_id).await?;
        database.commit(transaction).await?;
        return Ok(Outcome::Canary);
    }
    if !inbox::first_time(&mut transaction, CONSUMER, &event.id).await? {
        return Ok(Outcome::Duplicate);
    }
    let change = &event.data;
    let outcome = if change.event_type == EventType::Completed {
        match tasks::create_successor(&mut transaction, change.task_id).await {
            Ok(successor) => Outcome::Completed(successor),
            // Of another publisher, or removed for good.
            Err(TaskError::NotFound) => Outcome::Ignored,
            Err(error) => return Err(error.into()),
        }
    } else {
        Outcome::Ignored
    };
    database.commit(transaction).await?;
    if let Outcome::Completed(Successor::Created(_)) = outcome {
        counter!("successors_created_total").increment(1);
    }
    Ok(outcome)
}
