//! What the database and the broker hold.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Ground,
    history::Foreign,
    webhooks::{self, Delivery, Webhook},
};
use crate::harness::{ChannelSink, until};

pub(super) const TOPICS: [&str; 2] = ["task-events", "reminders"];
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
    /// What was to become of these outside of the platform.
    pub deliveries: Vec<Delivery>,
    /// What has come there, each time.
    pub received: Vec<Webhook>,
    /// Tasks that a person was reminded of after they had been moved, at the time that they had before.
    pub stale: Vec<Uuid>,
    /// Events that are kept as dead letters.
    pub dead: HashSet<Uuid>,
    /// Events that their consumer has marked as handled.
    pub handled: HashSet<Uuid>,
    /// How far each partition of a topic is acknowledged by its consumer: what is before it does not come again.
    pub acknowledged: HashMap<(String, u32), i64>,
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
    /// Whether it is deleted.
    pub deleted: bool,
    /// Whether it was deleted because the completion that made it was taken back.
    pub undone: bool,
    /// Whether it is as an update makes it.
    pub updated: bool,
    /// Whose completion made it.
    pub spawned_by: Option<Uuid>,
    /// Transaction that wrote it last.
    pub written_by: i64,
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
    /// Reminder that it is about.
    pub reminder: Option<Uuid>,
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
    /// Place in it.
    pub offset: i64,
    /// Task that it is about.
    pub task: Uuid,
}

/// How long the relay keeps what it has published; a bit less, as a look takes its time.
const KEPT: Duration = Duration::from_mins(14);

/// How long the database may take to answer after a fault.
const BACK: Duration = Duration::from_mins(1);

/// What several looks at the outbox have shown: a run may take longer than the relay keeps what it has published.
#[derive(Debug)]
pub struct Outbox {
    /// By their places in the order.
    events: BTreeMap<i64, StoredEvent>,
    /// When the last look began.
    looked: Instant,
}

impl Outbox {
    /// Nothing was written before.
    pub fn begin() -> Self {
        Self { events: BTreeMap::new(), looked: Instant::now() }
    }

    /// Looks once more. An error if events may have come and gone since the last time.
    pub async fn look(&mut self, ground: &Ground) -> anyhow::Result<()> {
        const OUTBOX: &str = "SELECT id, seq AS sequence, topic, (payload ->> 'task_id')::uuid AS task,
                (payload ->> 'reminder_id')::uuid AS reminder
            FROM outbox WHERE payload ->> 'user_id' LIKE $1";
        let (began, events) = until("the outbox can be read", BACK, async || {
            let began = Instant::now();
            let (mut database, _forward) = ground.database().await?;
            let events: Vec<StoredEvent> = sqlx::query_as(OUTBOX).bind(USERS).fetch_all(&mut database).await?;
            Ok(Some((began, events)))
        })
        .await?;
        let since = self.looked.elapsed();
        anyhow::ensure!(since < KEPT, "the outbox was not looked at for {since:.0?}, and is cleaned meanwhile");
        self.see(events);
        self.looked = began;
        Ok(())
    }

    /// Takes in what a look has shown: each event counts once.
    fn see(&mut self, events: Vec<StoredEvent>) {
        self.events.extend(events.into_iter().map(|event| (event.sequence, event)));
    }
}

/// How much is not published, not consumed, not reminded of or not sent out yet, and of the events of another publisher how many are
/// neither handled nor kept as dead letters.
pub async fn waiting(ground: &Ground, foreign: &Foreign) -> anyhow::Result<i64> {
    const COUNT: &str = "SELECT
        (SELECT count(*) FROM outbox WHERE payload ->> 'user_id' LIKE $1
            AND (published_at IS NULL OR NOT EXISTS (SELECT FROM inbox WHERE event_id = outbox.id::text)))
        + (SELECT count(*) FROM task_reminders JOIN tasks ON tasks.id = task_id
            WHERE user_id LIKE $1 AND claimed_at IS NULL AND remind_at <= now())
        + (SELECT count(*) FROM deliveries WHERE user_id LIKE $1 AND state = 'waiting')
        + (SELECT count(*) FROM unnest($2::text[]) AS told (id)
            WHERE NOT EXISTS (SELECT FROM inbox WHERE event_id = told.id))
        + (SELECT count(*) FROM unnest($3::text[]) AS impossible (id)
            WHERE NOT EXISTS (SELECT FROM dead_letters WHERE dead_letters.id = impossible.id))";
    let (mut database, _forward) = ground.database().await?;
    let texts = |ids: &HashSet<Uuid>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let count = sqlx::query_scalar(COUNT).bind(USERS).bind(texts(&foreign.told)).bind(texts(&foreign.impossible));
    Ok(count.fetch_one(&mut database).await?)
}

/// Reads all of it. `outbox` is what earlier looks have shown.
pub async fn read(ground: &Ground, sink: &ChannelSink, mut outbox: Outbox) -> anyhow::Result<Facts> {
    const TASKS: &str = "SELECT id, title, version, completed_at IS NOT NULL AS completed,
            deleted_at IS NOT NULL AS deleted, undone,
            priority = 3 AND notes IS NULL AS updated, spawned_by, xmin::text::bigint AS written_by
        FROM tasks WHERE user_id LIKE $1";
    const NOTIFICATIONS: &str = "SELECT task_id, count(*) FROM notifications
        WHERE user_id LIKE $1 AND task_id IS NOT NULL GROUP BY task_id";
    const DELIVERIES: &str = "SELECT deliveries.id, task_id AS task, state
        FROM deliveries JOIN notifications ON notifications.id = notification_id
        WHERE deliveries.user_id LIKE $1 AND task_id IS NOT NULL";
    // A notification is as old as its transaction, and a change as old as its lock of the task. A deleted task keeps the
    // reminders that were on their way.
    const STALE: &str = "SELECT task_id FROM notifications JOIN tasks ON tasks.id = task_id
        WHERE tasks.user_id LIKE $1 AND reminder_id IS NOT NULL AND notifications.created_at > tasks.updated_at
          AND (deleted_at IS NOT NULL OR NOT EXISTS (SELECT FROM task_reminders WHERE task_reminders.id = reminder_id))";
    const DEAD: &str = "SELECT id FROM dead_letters";
    const HANDLED: &str = "SELECT event_id FROM inbox";
    // Before what is handled, which it may not be ahead of.
    let acknowledged = acknowledged(ground).await?;
    outbox.look(ground).await?;
    let (mut database, _forward) = ground.database().await?;
    let tasks = sqlx::query_as(TASKS).bind(USERS).fetch_all(&mut database).await?;
    let notifications: Vec<(Uuid, i64)> = sqlx::query_as(NOTIFICATIONS).bind(USERS).fetch_all(&mut database).await?;
    let notifications =
        notifications.into_iter().map(|(task, count)| (task, usize::try_from(count).unwrap_or_default()));
    let deliveries = sqlx::query_as(DELIVERIES).bind(USERS).fetch_all(&mut database).await?;
    let stale = sqlx::query_scalar(STALE).bind(USERS).fetch_all(&mut database).await?;
    let dead: Vec<String> = sqlx::query_scalar(DEAD).fetch_all(&mut database).await?;
    let handled: Vec<String> = sqlx::query_scalar(HANDLED).fetch_all(&mut database).await?;
    let ids = |texts: Vec<String>| texts.iter().filter_map(|id| id.parse().ok()).collect();
    let mut published = Vec::new();
    for topic in TOPICS {
        published.extend(messages(ground, topic).await?);
    }
    Ok(Facts {
        tasks,
        outbox: outbox.events.into_values().collect(),
        published,
        notifications: notifications.collect(),
        deliveries,
        // After them: what is marked as sent has come before.
        received: webhooks::received(sink).await?,
        stale,
        dead: ids(dead),
        handled: ids(handled),
        acknowledged,
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
              --offset earliest --max-messages \"$end\" --timeout-ms 30000 --property print.partition=true \
              --property print.offset=true < /dev/null
          fi
        done";
    let text = ground.in_broker(CONSUME, &[topic]).await?;
    let mut events = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("Partition:")) {
        let (partition, offset, message) = parts(line).with_context(|| format!("in {topic}: {line}"))?;
        let message: Message = serde_json::from_str(message).with_context(|| format!("in {topic}: {message}"))?;
        if message.data.user_id.starts_with(USERS.trim_end_matches('%')) {
            let (id, task, topic) = (message.id, message.data.task_id, topic.to_owned());
            events.push(PublishedEvent { id, topic, partition, offset, task });
        }
    }
    Ok(events)
}

/// Partition, place in it and value.
fn parts(line: &str) -> Option<(u32, i64, &str)> {
    let (partition, rest) = line.strip_prefix("Partition:")?.split_once('\t')?;
    let (offset, message) = rest.strip_prefix("Offset:")?.split_once('\t')?;
    Some((partition.parse().ok()?, offset.parse().ok()?, message))
}

/// By the groups of all consumers.
async fn acknowledged(ground: &Ground) -> anyhow::Result<HashMap<(String, u32), i64>> {
    const DESCRIBE: &str = "export KAFKA_HEAP_OPTS=-Xmx128m
        exec /opt/kafka/bin/kafka-run-class.sh org.apache.kafka.tools.consumer.group.ConsumerGroupCommand \
          --bootstrap-server $0 --describe --all-groups --timeout 60000";
    let text = ground.in_broker(DESCRIBE, &[]).await?;
    Ok(text.lines().filter_map(committed).collect())
}

/// Group, topic, partition and offset begin a line; what has no offset yet has a dash.
fn committed(line: &str) -> Option<((String, u32), i64)> {
    let mut words = line.split_whitespace().skip(1);
    let topic = words.next().filter(|topic| TOPICS.contains(topic))?;
    Some(((topic.to_owned(), words.next()?.parse().ok()?), words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_relay_has_cleaned_away_between_two_looks_stays_seen_and_what_was_there_both_times_counts_once() {
        let event = |sequence: i64| StoredEvent {
            id: Uuid::from_u128(sequence.unsigned_abs().into()),
            sequence,
            topic: "task-events".to_owned(),
            task: Uuid::nil(),
            reminder: None,
        };
        let mut outbox = Outbox::begin();
        // A number is taken before the commit: 3 was not there yet when 4 was seen.
        for look in [vec![event(4), event(1), event(2)], vec![event(3), event(2), event(4)], vec![event(5)]] {
            outbox.see(look);
        }
        let order: Vec<_> = outbox.events.into_values().map(|event| (event.sequence, event.id.as_u128())).collect();
        assert_eq!(order, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    }

    #[test]
    fn what_kafkas_programs_say_is_read() {
        assert_eq!(parts("Partition:2\tOffset:17\t{\"a\": \"\t\"}"), Some((2, 17, "{\"a\": \"\t\"}")));
        assert_eq!(parts("Processed a total of 3 messages"), None);
        let line = "todo-platform  reminders  1  42  43  1  sarama-8a1f  /10.0.0.1  sarama";
        assert_eq!(committed(line), Some((("reminders".to_owned(), 1), 42)));
        assert_eq!(committed("todo-platform  reminders  0  -  7  -  -  -  -"), None);
        assert_eq!(committed("GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG"), None);
    }
}
