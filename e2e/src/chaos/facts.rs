//! What the database and the broker hold.

use std::collections::HashMap;

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::api::AttachParams;
use serde::Deserialize;
use sqlx::FromRow;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use crate::harness::Platform;

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

/// How much is not published, not consumed or not reminded of yet.
pub async fn waiting(platform: &Platform) -> anyhow::Result<i64> {
    const COUNT: &str = "SELECT
        (SELECT count(*) FROM outbox WHERE payload ->> 'user_id' LIKE $1
            AND (published_at IS NULL OR NOT EXISTS (SELECT FROM inbox WHERE event_id = outbox.id::text)))
        + (SELECT count(*) FROM task_reminders JOIN tasks ON tasks.id = task_id
            WHERE user_id LIKE $1 AND claimed_at IS NULL AND remind_at <= now())";
    let (mut database, _forward) = platform.database().await?;
    Ok(sqlx::query_scalar(COUNT).bind(USERS).fetch_one(&mut database).await?)
}

/// Reads all of it.
pub async fn read(platform: &Platform) -> anyhow::Result<Facts> {
    const TASKS: &str = "SELECT id, title, version, completed_at IS NOT NULL AS completed, spawned_by FROM tasks
        WHERE user_id LIKE $1";
    const OUTBOX: &str = "SELECT id, seq AS sequence, topic, (payload ->> 'task_id')::uuid AS task FROM outbox
        WHERE payload ->> 'user_id' LIKE $1 ORDER BY seq";
    const NOTIFICATIONS: &str = "SELECT task_id, count(*) FROM notifications
        WHERE user_id LIKE $1 AND task_id IS NOT NULL GROUP BY task_id";
    let (mut database, _forward) = platform.database().await?;
    let tasks = sqlx::query_as(TASKS).bind(USERS).fetch_all(&mut database).await?;
    let outbox = sqlx::query_as(OUTBOX).bind(USERS).fetch_all(&mut database).await?;
    let notifications: Vec<(Uuid, i64)> = sqlx::query_as(NOTIFICATIONS).bind(USERS).fetch_all(&mut database).await?;
    let notifications =
        notifications.into_iter().map(|(task, count)| (task, usize::try_from(count).unwrap_or_default()));
    let mut published = Vec::new();
    for topic in TOPICS {
        published.extend(messages(platform, topic).await?);
    }
    Ok(Facts { tasks, outbox, published, notifications: notifications.collect() })
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

/// All messages of a topic that are there now, by Kafka's own programs on the listener that only the broker's pod reaches.
/// To the present end of each partition: a platform's own test events never cease.
async fn messages(platform: &Platform, topic: &str) -> anyhow::Result<Vec<PublishedEvent>> {
    const CONSUME: &str = "set -eu; export KAFKA_HEAP_OPTS=-Xmx128m; broker=127.0.0.1:9094
        /opt/kafka/bin/kafka-run-class.sh org.apache.kafka.tools.GetOffsetShell --bootstrap-server $broker --topic \"$0\" |
        while IFS=: read -r topic partition end; do
          if [ \"$end\" -gt 0 ]; then
            /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server $broker --topic \"$topic\" --partition \"$partition\" \
              --offset earliest --max-messages \"$end\" --timeout-ms 30000 --property print.partition=true < /dev/null
          fi
        done";
    let api = platform.namespace.api::<Pod>();
    let output = AttachParams::default().stderr(false);
    let mut consumer = api.exec("kafka-0", ["sh", "-c", CONSUME, topic], &output).await?;
    let mut text = String::new();
    consumer.stdout().context("no output")?.read_to_string(&mut text).await?;
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
