//! What the database and the broker hold.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Ground, history::Foreign};

const TOPICS: [&str; 2] = ["task-events", "reminders"];
/// Users whose data are looked at; the platform's own test events are not.
const USERS: &str = "chaos-%";

/// See the module.
#[derive(Debug, Default)]
pub struct Facts {
    /// All tasks.
    pub tasks: Vec<StoredTask>,
    /// The outbox, in its order.
    pub outbox: Vec<StoredEvent>,
    /// What the broker has, each partition in its order.
    pub published: Vec<PublishedEvent>,
    /// How many notifications each task has.
    pub notifications: HashMap<Uuid, usize>,
    /// Tasks that a person was reminded of after they had been moved, at the time that they had before.
    pub stale: Vec<Uuid>,
    /// Events that are kept as dead letters.
    pub dead: HashSet<Uuid>,
    /// How much had not got through when it had to.
    pub waiting: i64,
}

/// A row of `tasks`.
#[derive(Debug, Clone, FromRow)]
pub struct StoredTask {
    /// Identity.
    pub id: Uuid,
    /// Title.
    pub title: String,
    /// Number of changes.
    pub version: i64,
    /// Whether it is completed.
    pub completed: bool,
    /// Whose completion made it.
    pub spawned_by: Option<Uuid>,
}

/// A row of `outbox`.
#[derive(Debug, Clone, FromRow)]
pub struct StoredEvent {
    /// Identity, also of what is published.
    pub id: Uuid,
    /// Place in the order.
    pub sequence: i64,
    /// Topic.
    pub topic: String,
    /// Task that it is about.
    pub task: Uuid,
}

/// A message of a topic.
#[derive(Debug, Clone)]
pub struct PublishedEvent {
    /// Identity of the event.
    pub id: Uuid,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Task that it is about.
    pub task: Uuid,
}

/// How much is not published, not consumed or not reminded of yet, and of the events of another publisher how many are
/// neither handled nor kept as dead letters.
pub async fn waiting(ground: &Ground, foreign: &Foreign) -> anyhow::Result<i64> {
    const COUNT: &str = "SELECT
        (SELECT count(*) FROM outbox WHERE payload ->> 'user_id' LIKE $1
            AND (published_at IS NULL OR NOT EXISTS (SELECT FROM inbox WHERE event_id = outbox.id::text)))
        + (SELECT count(*) FROM task_reminders JOIN tasks ON tasks.id = task_id
            WHERE user_id LIKE $1 AND claimed_at IS NULL AND remind_at <= now())
        + (SELECT count(*) FROM unnest($2::text[]) AS told (id)
            WHERE NOT EXISTS (SELECT FROM inbox WHERE event_id = told.id))
        + (SELECT count(*) FROM unnest($3::text[]) AS impossible (id)
            WHERE NOT EXISTS (SELECT FROM dead_letters WHERE dead_letters.id = impossible.id))";
    let (mut database, _forward) = ground.database().await?;
    let texts = |ids: &HashSet<Uuid>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let count = sqlx::query_scalar(COUNT).bind(USERS).bind(texts(&foreign.told)).bind(texts(&foreign.impossible));
    Ok(count.fetch_one(&mut database).await?)
}

/// Reads all of it.
pub async fn read(ground: &Ground) -> anyhow::Result<Facts> {
    const TASKS: &str = "SELECT id, title, version, completed_at IS NOT NULL AS completed, spawned_by FROM tasks
        WHERE user_id LIKE $1";
    const OUTBOX: &str = "SELECT id, seq AS sequence, topic, (payload ->> 'task_id')::uuid AS task FROM outbox
        WHERE payload ->> 'user_id' LIKE $1 ORDER BY seq";
    const NOTIFICATIONS: &str = "SELECT task_id, count(*) FROM notifications
        WHERE user_id LIKE $1 AND task_id IS NOT NULL GROUP BY task_id";
    // A notification is as old as its transaction, and a change as old as its lock of the task.
    const STALE: &str = "SELECT task_id FROM notifications JOIN tasks ON tasks.id = task_id
        WHERE tasks.user_id LIKE $1 AND reminder_id IS NOT NULL AND notifications.created_at > tasks.updated_at
          AND NOT EXISTS (SELECT FROM task_reminders WHERE task_reminders.id = reminder_id)";
    const DEAD: &str = "SELECT id FROM dead_letters";
    let (mut database, _forward) = ground.database().await?;
    let tasks = sqlx::query_as(TASKS).bind(USERS).fetch_all(&mut database).await?;
    let outbox = sqlx::query_as(OUTBOX).bind(USERS).fetch_all(&mut database).await?;
    let notifications: Vec<(Uuid, i64)> = sqlx::query_as(NOTIFICATIONS).bind(USERS).fetch_all(&mut database).await?;
    let notifications =
        notifications.into_iter().map(|(task, count)| (task, usize::try_from(count).unwrap_or_default()));
    let stale = sqlx::query_scalar(STALE).bind(USERS).fetch_all(&mut database).await?;
    let dead: Vec<String> = sqlx::query_scalar(DEAD).fetch_all(&mut database).await?;
    let mut published = Vec::new();
    for topic in TOPICS {
        published.extend(messages(ground, topic).await?);
    }
    Ok(Facts {
        tasks,
        outbox,
        published,
        notifications: notifications.collect(),
        stale,
        dead: dead.iter().filter_map(|id| id.parse().ok()).collect(),
        waiting: 0,
    })
}

#[derive(Deserialize)]
struct Message {
    id: Uuid,
    data: About,
}

#[derive(Deserialize)]
struct About {
    user_id: String,
    task_id: Uuid,
}

/// All messages of a topic that are there now, by Kafka's own programs. To the present end of each partition: a platform's
/// own test events never cease.
async fn messages(ground: &Ground, topic: &str) -> anyhow::Result<Vec<PublishedEvent>> {
    const CONSUME: &str = "set -eu; export KAFKA_HEAP_OPTS=-Xmx128m; broker=$0
        /opt/kafka/bin/kafka-run-class.sh org.apache.kafka.tools.GetOffsetShell --bootstrap-server $broker --topic \"$1\" |
        while IFS=: read -r topic partition end; do
          if [ \"$end\" -gt 0 ]; then
            /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server $broker --topic \"$topic\" --partition \"$partition\" \
              --offset earliest --max-messages \"$end\" --timeout-ms 30000 --property print.partition=true < /dev/null
          fi
        done";
    let text = ground.in_broker(CONSUME, &[topic]).await?;
    let mut events = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("Partition:")) {
        let (partition, message) = line["Partition:".len()..].split_once('\t').context("a line without a value")?;
        let message: Message = serde_json::from_str(message).with_context(|| format!("in {topic}: {message}"))?;
        if message.data.user_id.starts_with(USERS.trim_end_matches('%')) {
            let (id, task, topic) = (message.id, message.data.task_id, topic.to_owned());
            events.push(PublishedEvent { id, topic, partition: partition.parse()?, task });
        }
    }
    Ok(events)
}
