//! A database that is away for longer than the sidecars try.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use sqlx::Connection;
use todo_e2e::{
    chaos::Ground,
    harness::{Namespace, Platform, cut::Cut, http::Http, until, wait},
};

use crate::shared::{add_task, complete_a_daily_task, notifications, tasks};

const USER: &str = "ada";
/// Events of each topic.
const EVENTS: usize = 8;
/// Longer than a delivery is tried, which is about two minutes where no try is answered.
const AWAY: Duration = Duration::from_mins(3);
/// Reminders are looked for every quarter of a minute.
const PUBLISHED: Duration = Duration::from_mins(1);
const HANDLED: Duration = Duration::from_mins(2);

#[tokio::test]
async fn events_that_wait_longer_for_the_database_than_they_are_tried_are_handled_once_when_it_is_back() {
    Namespace::with("long-outage", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let page = platform.page().await?;
        let (mut database, _forward) = platform.database().await?;

        // Nothing can be marked as handled, so all of it is under way when the database goes.
        let mut hold = database.begin().await?;
        sqlx::query("LOCK TABLE inbox IN SHARE MODE").execute(&mut *hold).await?;
        make_events(&page).await?;
        until("all events are published", PUBLISHED, async || {
            Ok((published(&platform).await? == EVENTS * 2).then_some(()))
        })
        .await?;
        let since = Timestamp::now();
        let cut = Cut::off(&namespace, "postgres-0").await?;
        let begun = Instant::now();
        let away = async {
            hold.rollback().await?;
            platform.unready_soon_after(since).await?;
            given_up(&platform, begun).await?;
            let is_away = async || Ok(platform.condition("Ready").await?.is_some_and(|ready| ready.status == "False"));
            wait::throughout("the database is away", AWAY.saturating_sub(begun.elapsed()), is_away).await
        };
        let result = away.await;
        cut.end().await?;
        result?;

        let back = Instant::now();
        platform.wait("Ready", "True", HANDLED).await?;
        until("all events are handled", HANDLED, async || Ok(are_handled(&page).await?.then_some(()))).await?;
        eprintln!("all events were handled {} s after the database was back", back.elapsed().as_secs());
        wait::throughout("each is handled once", Duration::from_secs(15), async || are_handled(&page).await).await?;
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters").fetch_one(&mut database).await?;
        assert_eq!(kept, 0, "none had to wait for a person");
        Ok(())
    })
    .await;
}

/// Tasks to be reminded of, and recurring ones that are completed.
async fn make_events(page: &Http) -> anyhow::Result<()> {
    for number in 0..EVENTS {
        let now = Timestamp::now().to_string();
        add_task(page, json!({"user_id": USER, "title": format!("remind {number}"), "due_at": now})).await?;
        complete_a_daily_task(page, USER).await?;
    }
    Ok(())
}

/// Reminders and completions that the broker has.
async fn published(platform: &Platform) -> anyhow::Result<usize> {
    const PUBLISHED: &str = "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL AND payload ->> 'user_id' = $1
        AND (topic = 'reminders' OR payload ->> 'event_type' = 'completed')";
    let (mut database, _forward) = platform.database().await?;
    let count: i64 = sqlx::query_scalar(PUBLISHED).bind(USER).fetch_one(&mut database).await?;
    Ok(usize::try_from(count)?)
}

/// Waits until the sidecars have sent events to both dead-letter topics.
async fn given_up(platform: &Platform, begun: Instant) -> anyhow::Result<()> {
    const ENDS: &str = "export KAFKA_HEAP_OPTS=-Xmx128m
        exec /opt/kafka/bin/kafka-run-class.sh org.apache.kafka.tools.GetOffsetShell --bootstrap-server $0 --topic \"$1\"";
    let ground = Ground::cluster(platform.clone());
    for topic in ["reminders-dead", "task-events-dead"] {
        until(&format!("{topic} has events"), AWAY.saturating_sub(begun.elapsed()), async || {
            let ends = ground.in_broker(ENDS, &[topic]).await?;
            let end = |line: &str| line.rsplit(':').next()?.parse::<u64>().ok();
            Ok((ends.lines().filter_map(end).sum::<u64>() > 0).then_some(()))
        })
        .await?;
        eprintln!("{topic} had events {} s after the database went", begun.elapsed().as_secs());
    }
    Ok(())
}

/// One notification and one successor for each.
async fn are_handled(page: &Http) -> anyhow::Result<bool> {
    let open = tasks(page, USER).await?.into_iter().filter(|task| task["status"] == "open");
    let successors = open.filter(|task| task["title"] == "stretch").count();
    Ok(notifications(page, USER).await?.len() == EVENTS && successors == EVENTS)
}
