//! Writes while the broker is away, and how soon what has piled up gets through when it is back.

use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::Client;
use serde_json::json;
use sqlx::{
    PgConnection,
    types::chrono::{DateTime, Utc},
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::ground::cluster;
use crate::harness::{Forward, Platform, until};

/// Whose tasks they are.
const USER: &str = "outage";
/// After it, a write has had no answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes of one outage.
#[derive(Debug, Default)]
pub struct Written {
    /// How many were asked for.
    pub asked: usize,
    /// How many answers said that the task is stored.
    pub acknowledged: usize,
    /// How long each answer took, the shortest first.
    pub answered: Vec<Duration>,
    /// What was answered or went wrong instead, for the first one that was not acknowledged.
    pub refused: Option<String>,
}

impl Written {
    fn note(&mut self, answer: Result<Duration, String>) {
        self.asked += 1;
        match answer {
            Ok(after) => {
                self.acknowledged += 1;
                self.answered.push(after);
            }
            Err(why) => drop(self.refused.get_or_insert(why)),
        }
    }

    /// How long the answers took that took longest, of so many hundredths the shortest left out.
    pub fn percentile(&self, hundredths: usize) -> Duration {
        let place = self.answered.len() * hundredths / 100;
        self.answered.get(place.min(self.answered.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// What became of what had piled up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drained {
    /// Tasks that are stored.
    pub stored: usize,
    /// Of these the ones that no event tells of.
    pub untold: usize,
    /// Events that waited when the broker came back.
    pub backlog: usize,
    /// When the broker had taken them: after the last one nothing waits in the outbox.
    pub published: Stage,
    /// When they had their effects.
    pub effects: Stage,
}

/// A stage in the way of a backlog, from the broker's return on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stage {
    /// When the first event had reached it.
    pub first: Duration,
    /// And the last one.
    pub last: Duration,
}

impl Drained {
    /// Events per second that were published, from the first to the last.
    pub fn published_rate(&self) -> f64 {
        per_second(self.backlog, self.published.last.saturating_sub(self.published.first))
    }

    /// Events per second that had their effects, from the first to the last.
    pub fn effect_rate(&self) -> f64 {
        per_second(self.backlog, self.effects.last.saturating_sub(self.effects.first))
    }

    /// Events per second from the broker's return to the last effect.
    pub fn rate_from_return(&self) -> f64 {
        per_second(self.backlog, self.effects.last)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a backlog has fewer than 2^52 events")]
fn per_second(events: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { events as f64 / time.as_secs_f64() }
}

/// Nothing where there are no events.
type Moment = Option<DateTime<Utc>>;

/// Adds tasks at a steady pace for so long, each when its time has come, whatever became of the ones before.
async fn write(platform: &Platform, length: Duration, per_second: u32) -> anyhow::Result<Written> {
    let page = platform.page().await?;
    let client = Client::builder().timeout(PATIENCE).build()?;
    let (url, body) = (page.url("/api/tasks"), json!({"user_id": USER, "title": "write this down"}));
    let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, mut writes, mut written) = (Instant::now(), JoinSet::new(), Written::default());
    while begun.elapsed() < length {
        ticks.tick().await;
        let write = client.post(&url).json(&body).send();
        writes.spawn(async move {
            let begun = Instant::now();
            match write.await {
                Ok(answer) if answer.status() == 201 => Ok(begun.elapsed()),
                Ok(answer) => Err(answer.status().to_string()),
                Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
            }
        });
        while let Some(answer) = writes.try_join_next() {
            written.note(answer?);
        }
    }
    while let Some(answer) = writes.join_next().await {
        written.note(answer?);
    }
    written.answered.sort_unstable();
    Ok(written)
}

/// Writes while no pod reaches the broker, and waits until all that has piled up has had its effect.
pub async fn without_broker(
    platform: &Platform,
    length: Duration,
    per_second: u32,
    limit: Duration,
) -> anyhow::Result<(Written, Drained)> {
    let backlog = Backlog::of(platform).await?;
    let (cut, written) =
        tokio::join!(cluster::without_broker(&platform.namespace, length), write(platform, length, per_second));
    cut?;
    let drained = backlog.drained(limit).await?;
    Ok((written?, drained))
}

/// What the database knows of events on their way.
struct Backlog {
    database: tokio::sync::Mutex<PgConnection>,
    _forward: Forward,
}

impl Backlog {
    /// Of the writes to this platform.
    async fn of(platform: &Platform) -> anyhow::Result<Self> {
        let (database, forward) = platform.database().await?;
        Ok(Self { database: database.into(), _forward: forward })
    }

    /// The broker is back: waits until nothing waits any more. All times are of the database's clock.
    async fn drained(&self, limit: Duration) -> anyhow::Result<Drained> {
        const WAITING: &str = "SELECT clock_timestamp(), count(*) FROM outbox
            WHERE published_at IS NULL AND payload ->> 'user_id' = $1";
        // The second part costs more and is asked only when the first one says that there is nothing.
        const IS_DRAINED: &str =
            "SELECT NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL AND payload ->> 'user_id' = $1)
            AND NOT EXISTS (SELECT FROM outbox WHERE payload ->> 'user_id' = $1
                AND NOT EXISTS (SELECT FROM inbox WHERE event_id = outbox.id::text))";
        const STAGES: &str = "SELECT min(published_at), max(published_at), min(received_at), max(received_at)
            FROM outbox JOIN inbox ON inbox.event_id = outbox.id::text
            WHERE payload ->> 'user_id' = $1 AND published_at >= $2";
        // What was published a quarter of an hour ago is removed.
        const STORED: &str = "SELECT count(*), count(*) FILTER (WHERE created_at > $2 - interval '14 minutes'
                AND NOT EXISTS (SELECT FROM outbox WHERE topic = 'task-events' AND partition_key = tasks.id::text))
            FROM tasks WHERE user_id = $1";
        let (back, backlog): (DateTime<Utc>, i64) =
            sqlx::query_as(WAITING).bind(USER).fetch_one(&mut *self.database.lock().await).await?;
        let (stored, untold): (i64, i64) =
            sqlx::query_as(STORED).bind(USER).bind(back).fetch_one(&mut *self.database.lock().await).await?;
        until("the backlog has drained", limit, async || {
            let mut database = self.database.lock().await;
            let is_drained: bool = sqlx::query_scalar(IS_DRAINED).bind(USER).fetch_one(&mut *database).await?;
            Ok(is_drained.then_some(()))
        })
        .await?;
        let stages = sqlx::query_as(STAGES).bind(USER).bind(back);
        let (published, published_last, handled, handled_last): (Moment, Moment, Moment, Moment) =
            stages.fetch_one(&mut *self.database.lock().await).await?;
        let since = |moment: Moment| {
            let moment = moment.context("nothing was waiting")?;
            anyhow::Ok((moment - back).to_std().unwrap_or_default())
        };
        let stage = |first, last| anyhow::Ok(Stage { first: since(first)?, last: since(last)? });
        let count = |number: i64| usize::try_from(number).unwrap_or_default();
        Ok(Drained {
            stored: count(stored),
            untold: count(untold),
            backlog: count(backlog),
            published: stage(published, published_last)?,
            effects: stage(handled, handled_last)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_time_in_which_something_happened_and_the_other_one_of_the_whole_time() {
        let seconds = |first, last| Stage { first: Duration::from_secs(first), last: Duration::from_secs(last) };
        let (published, effects) = (seconds(5, 7), seconds(6, 9));
        let drained = Drained { stored: 900, untold: 0, backlog: 900, published, effects };
        assert!((drained.published_rate() - 450.0).abs() < 1e-9);
        assert!((drained.effect_rate() - 300.0).abs() < 1e-9);
        assert!((drained.rate_from_return() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_write_that_is_not_acknowledged_is_counted_and_the_first_reason_is_kept() {
        let mut written = Written::default();
        for answer in [Ok(1), Err("503"), Ok(2), Err("timeout")] {
            written.note(answer.map(Duration::from_secs).map_err(str::to_owned));
        }
        assert_eq!((written.asked, written.acknowledged, written.refused.as_deref()), (4, 2, Some("503")));
        assert_eq!((written.percentile(0), written.percentile(99)), (Duration::from_secs(1), Duration::from_secs(2)));
    }
}
