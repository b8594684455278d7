use sqlx::PgConnection;

use super::Task;
use crate::{
    events::{EventType, TASK_EVENTS, TaskEvent},
    outbox,
};

/// Writes the event of a change to the outbox. Events of one task keep their order.
pub(super) async fn record(
    connection: &mut PgConnection,
    event_type: EventType,
    task: &Task,
) -> Result<(), sqlx::Error> {
    let event = TaskEvent::new(event_type, task, task.updated_at);
    outbox::enqueue(connection, TASK_EVENTS, &task.id.to_string(), None, &event).await.map(drop)
}

/// The same of several tasks, each with the trace of what changed it.
pub(super) async fn record_all(
    connection: &mut PgConnection,
    event_type: EventType,
    changes: impl Iterator<Item = (&Task, Option<&str>)>,
) -> Result<(), sqlx::Error> {
    let entries: Vec<_> = changes
        .map(|(task, traceparent)| outbox::Entry {
            partition_key: task.id.to_string(),
            payload: TaskEvent::new(event_type, task, task.updated_at),
            traceparent: traceparent.map(ToOwned::to_owned),
        })
        .collect();
    outbox::enqueue_all(connection, TASK_EVENTS, &entries).await
}
