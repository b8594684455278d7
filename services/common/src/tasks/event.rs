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
