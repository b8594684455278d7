//! A broker or a database that hangs is told truthfully, and nothing is lost by it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;
use todo_e2e::{
    chaos::{Ground, facts, history::Foreign},
    harness::{
        Forward, Frozen, Metrics, Namespace, Platform, Transitions, forward::ready_pods, http::Http, until, wait,
    },
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::shared::{add_task, complete_a_daily_task, tasks};

/// How long the watch may be behind.
const SEEN: Duration = Duration::from_secs(15);
const RECOVERED: Duration = Duration::from_mins(2);
/// What is said of a platform with which nothing is wrong.
const WELL: [(&str, &str); 5] = [
    ("Ready", "True"),
    ("InfrastructureReady", "True"),
    ("ComponentsReady", "True"),
    ("DataPathVerified", "True"),
    ("Degraded", "False"),
];
/// How long the broker is away from those who write. `cargo xtask bench chaos` takes longer.
const AWAY: Duration = Duration::from_mins(1);
/// Who writes at the same time, each with so much time between two tasks, of which one of so many is to be reminded of.
const WRITERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);
const REMINDED: usize = 10;
const BACKEND: &str = "backend-service";
/// A longer backlog is not counted to its end.
const MEASURED: u32 = 10_000;

#[tokio::test]
async fn a_broker_that_hangs_makes_the_platform_unready_while_writes_go_on_and_their_events_arrive_later() {
    Namespace::with("outage", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let page = platform.page().await?;

        well(&platform).await?;
        let transitions = Transitions::of(&platform).await?;
        let since = Timestamp::now();
        let broker = Frozen::freeze(&namespace, "kafka-0", "kafka.Kafka").await?;
        platform.unready_soon_after(since).await?;
        until("it is told where the test event stopped: before the broker, or behind it", RECOVERED, async || {
            let ready = platform.condition("Ready").await?;
            Ok(ready.filter(|ready| ["NotPublished", "NotConsumed"].contains(&ready.reason.as_str())))
        })
        .await?;

        // Pods stay in service: a broker is no reason not to take a task.
        complete_a_daily_task(&page, "ada").await?;
        broker.thaw().await?;

        platform.wait("Ready", "True", RECOVERED).await?;
        until("the event of the outage has had its effect", RECOVERED, async || {
            let list = tasks(&page, "ada").await?;
            Ok((list.iter().filter(|task| task["status"] == "open").count() == 1 && list.len() == 2).then_some(()))
        })
        .await?;

        changed_once_and_back(&platform, &transitions).await?;

        let transitions = Transitions::of(&platform).await?;
        let since = Timestamp::now();
        let database = Frozen::freeze(&namespace, "postgres-0", "postgres").await?;
        platform.unready_soon_after(since).await?;
        // Probes notice later than test events do, and what they have noticed takes a while to be over.
        for kind in ["InfrastructureReady", "ServicesReady"] {
            platform.wait(kind, "False", RECOVERED).await?;
        }
        database.thaw().await?;
        platform.wait("Ready", "True", RECOVERED).await?;
        changed_once_and_back(&platform, &transitions).await
    })
    .await;
}

/// Waits until every condition says that nothing is wrong.
async fn well(platform: &Platform) -> anyhow::Result<()> {
    for (kind, status) in WELL {
        platform.wait(kind, status, RECOVERED).await?;
    }
    Ok(())
}

/// Looks, once all is well again, that `Ready` went there and back, and whatever else changed did so once.
async fn changed_once_and_back(platform: &Platform, transitions: &Transitions) -> anyhow::Result<()> {
    well(platform).await?;
    until("the watch has seen it, too", SEEN, async || Ok(transitions.are_all_seen(platform).await?.then_some(())))
        .await?;
    for (kind, _) in WELL {
        let seen = transitions.seen(kind);
        assert!(seen.len() == 3 || (seen.len() == 1 && kind != "Ready"), "{kind} went to and fro: {seen:?}");
    }
    Ok(())
}

/// The tasks that a writer was told are stored, and which of them are to be reminded of.
type Written = BTreeMap<Uuid, bool>;

#[tokio::test]
async fn a_minute_without_the_broker_refuses_no_write_and_every_event_gets_through_once_afterwards() {
    Namespace::with("backlog", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let broker = Frozen::freeze(&namespace, "kafka-0", "kafka.Kafka").await?;
        let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(write(platform.clone(), number))).collect();
        let mut written = Written::new();
        for writer in writers {
            // One refused write is an error.
            written.extend(writer.await??);
        }
        let (ground, nobody) = (Ground::cluster(platform.clone()), Foreign::default());
        let waiting = async || facts::waiting(&ground, &nobody).await;
        let backlog = waiting().await?;
        assert!(
            usize::try_from(backlog)? >= written.len(),
            "{backlog} of {} events wait for the broker",
            written.len()
        );
        backlog_is_measured(&platform, written.len()).await?;
        readiness_tells_of_the_broker(&platform, false).await?;

        broker.thaw().await?;
        let back = Instant::now();
        until("the backlog has drained", RECOVERED, async || {
            let left = waiting().await?;
            anyhow::ensure!(left == 0, "{left} events wait");
            Ok(Some(()))
        })
        .await?;
        let drained = back.elapsed().as_secs_f64();
        readiness_tells_of_the_broker(&platform, true).await?;
        #[expect(clippy::cast_precision_loss, reason = "a backlog has fewer than 2^52 events")]
        let rate = backlog as f64 / drained;
        eprintln!("{} writes acknowledged; {backlog} events drained in {drained:.1} s, {rate:.0}/s", written.len());

        let (mut database, _forward) = platform.database().await?;
        let asked: BTreeSet<Uuid> = written.keys().copied().collect();
        let stored = ids(&mut database, "SELECT id FROM tasks WHERE user_id LIKE 'chaos-writer-%'").await?;
        assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), asked, "what is stored is what was acknowledged");
        let told = "SELECT partition_key::uuid FROM outbox
            WHERE topic = 'task-events' AND payload ->> 'user_id' LIKE 'chaos-writer-%' ORDER BY 1";
        let told = ids(&mut database, told).await?;
        assert_eq!(told, asked.into_iter().collect::<Vec<_>>(), "each has one event, which was handled");
        let reminded: Vec<Uuid> = written.iter().filter(|(_, reminded)| **reminded).map(|(id, _)| *id).collect();
        let shown = "SELECT task_id FROM notifications WHERE user_id LIKE 'chaos-writer-%' ORDER BY 1";
        assert_eq!(ids(&mut database, shown).await?, reminded, "each reminder is shown");
        let once = async || {
            let (mut database, _forward) = platform.database().await?;
            Ok(ids(&mut database, shown).await?.len() == reminded.len())
        };
        wait::throughout("each reminder is shown once", SEEN, once).await?;
        lateness_is_measured(&platform, reminded.len()).await?;
        platform.wait("Ready", "True", RECOVERED).await?;
        Ok(())
    })
    .await;
}

/// Whether the broker answers is told to people, and makes no pod unready.
async fn readiness_tells_of_the_broker(platform: &Platform, is_there: bool) -> anyhow::Result<()> {
    until(&format!("readiness says of the broker: {is_there}"), SEEN, async || {
        let (client, namespace) = (&platform.namespace.env.client, &platform.namespace.name);
        for pod in ready_pods(client, namespace, BACKEND).await? {
            let management = Http::new(Forward::to_pod(client, namespace, &pod, 8081).await?)?;
            let readiness = management.get("/readyz").await?.expect(200)?;
            let broker = &readiness.json()["broker"];
            // Of two relays only one may have had something to publish.
            if broker["ok"] == is_there {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await
}

/// What waits is in the metrics, and for how long.
async fn backlog_is_measured(platform: &Platform, written: usize) -> anyhow::Result<()> {
    let written = u32::try_from(written)?.min(MEASURED);
    until("the metrics tell of the backlog", SEEN, async || {
        let metrics = Metrics::of(platform, BACKEND).await?;
        let least = |series| metrics.values(series, "").fold(f64::INFINITY, f64::min);
        let (waiting, age) = (least("outbox_waiting_events"), least("outbox_oldest_age_seconds"));
        let is_told = waiting.is_finite() && waiting >= f64::from(written) && age >= AWAY.as_secs_f64() / 2.0;
        anyhow::ensure!(is_told, "{waiting} events wait, the oldest for {age} s");
        Ok(Some(()))
    })
    .await
}

/// That the backlog is over is in the metrics, and so is each reminder, some of which were late by most of the outage.
async fn lateness_is_measured(platform: &Platform, reminded: usize) -> anyhow::Result<()> {
    until("the metrics tell that nothing waits", SEEN, async || {
        let metrics = Metrics::of(platform, BACKEND).await?;
        let waiting = metrics.values("outbox_waiting_events", "").fold(0.0, f64::max);
        anyhow::ensure!(waiting < 1.0, "{waiting} events wait");
        Ok(Some(()))
    })
    .await?;
    let metrics = Metrics::of(platform, "notification-service").await?;
    let sum = |series: &'static str| metrics.values(series, "").sum::<f64>();
    let (shown, late) = (sum("reminder_lateness_seconds_count"), sum("reminder_lateness_seconds_sum"));
    let reminded = f64::from(u32::try_from(reminded)?);
    anyhow::ensure!(shown >= reminded, "{shown} of {reminded} reminders are in the metrics");
    // Evenly over the outage, so that the mean is half of it.
    anyhow::ensure!(late / shown > AWAY.as_secs_f64() / 4.0, "{late} s together for {shown} reminders");
    Ok(())
}

async fn ids(database: &mut PgConnection, query: &'static str) -> anyhow::Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar(query).fetch_all(database).await?)
}

/// Adds tasks as long as the broker is away.
async fn write(platform: Platform, number: usize) -> anyhow::Result<Written> {
    let page = platform.busy_page().await?;
    let (begun, mut written) = (Instant::now(), Written::new());
    while begun.elapsed() < AWAY {
        let mut task = json!({"user_id": format!("chaos-writer-{number}"), "title": "write this down"});
        let reminded = written.len() % REMINDED == 0;
        if reminded {
            task["due_at"] = Timestamp::now().to_string().into();
        }
        let task = add_task(&page, task).await?;
        written.insert(task["id"].as_str().unwrap_or_default().parse()?, reminded);
        sleep(PAUSE).await;
    }
    Ok(written)
}
