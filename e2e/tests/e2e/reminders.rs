//! Reminders: claimed once, delivered once, however many replicas and ticks there are.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgConnection;
use todo_e2e::harness::{Forward, Namespace, Platform, forward::ready_pods, http::Http, until, wait};

use crate::shared::{self, add_task, notifications};

/// With a reminder so far ahead.
fn task(user: &str, ahead: Duration) -> Value {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(i64::try_from(ahead.as_secs()).unwrap());
    json!({"user_id": user, "title": "water the plants", "due_at": at.to_string(), "time_zone": "Europe/Berlin"})
}

/// Waits for the notification of a task, and holds that it stays the only one.
async fn notified_once(page: &Http, user: &str, task: &Value, limit: Duration) -> anyhow::Result<Value> {
    let first = until("the reminder's notification is there", limit, async || {
        Ok(notifications(page, user).await?.into_iter().next())
    })
    .await?;
    assert_eq!(first["task_id"], task["id"]);
    assert_eq!(first["title"], "water the plants");
    let stays = async || Ok(notifications(page, user).await?.len() == 1);
    wait::throughout("one notification", Duration::from_secs(15), stays).await?;
    Ok(first)
}

/// Holds that ticks of the cron component reach the backend. The backend looks for due reminders by itself, too, between
/// ticks, so a notification alone does not show it.
async fn ticks_arrive(platform: &Platform, limit: Duration) -> anyhow::Result<()> {
    let (client, namespace) = (&platform.namespace.env.client, &platform.namespace.name);
    until("a tick of reminder-cron has been taken", limit, async || {
        for pod in ready_pods(client, namespace, "backend-service").await? {
            let metrics = Http::new(Forward::to_pod(client, namespace, &pod, 9090).await?)?.get("/metrics").await?.text;
            let taken = |line: &str| {
                line.starts_with("dapr_component_input_binding_count{")
                    && line.contains(r#"component="reminder-cron""#)
                    && line.contains(r#"success="true""#)
            };
            if metrics.lines().any(taken) {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await
}

#[tokio::test]
async fn a_reminder_a_minute_ahead_is_stored_once_by_the_default_schedule() {
    shared::with("reminder", async |platform, user| {
        let page = platform.page().await?;
        let task = add_task(&page, task(&user, Duration::from_mins(1))).await?;
        notified_once(&page, &user, &task, Duration::from_secs(330)).await?;
        // A tick comes every five minutes.
        ticks_arrive(&platform, Duration::from_secs(330)).await
    })
    .await;
}

#[tokio::test]
async fn two_replicas_that_tick_every_second_deliver_a_reminder_once_and_not_before_its_time() {
    Namespace::with("ticks", async |namespace| {
        let spec = json!({"reminders": {"schedule": "@every 1s", "window": "5m"}, "postgres": {}, "kafka": {}});
        let platform = Platform::apply(&namespace, "todo", spec).await?;
        platform.ready().await?;
        let page = platform.page().await?;
        let task = add_task(&page, task("ada", Duration::from_secs(20))).await?;
        let notification = notified_once(&page, "ada", &task, Duration::from_mins(1)).await?;
        let due: jiff::Timestamp = task["due_at"].as_str().unwrap().parse()?;
        assert!(jiff::Timestamp::now() >= due, "{notification}");
        ticks_arrive(&platform, Duration::from_secs(10)).await
    })
    .await;
}

/// So many, so far apart. A look of a backend pod comes every 15 s, and finds what is due in the next second: two pods have at
/// most six in this time.
const MOMENTS: i64 = 10;
const LOOKS: usize = 6;
const APART: i64 = 3;
/// The first one's time from now, in which all are made.
const FIRST: i64 = 20;
/// What is claimed so soon after its moment, in seconds, is claimed for it. A busy machine may be later now and then.
const ON_TIME: f64 = 2.0;

#[tokio::test]
async fn in_precise_mode_each_reminder_is_sent_once_at_its_moment_without_a_tick() {
    Namespace::with("precise", async |namespace| {
        // The next tick comes at New Year.
        let spec = json!({"reminders": {"mode": "Precise", "schedule": "0 0 1 1 *", "window": "1s"}});
        let platform = Platform::apply(&namespace, "todo", spec).await?;
        platform.ready().await?;
        let page = platform.page().await?;
        let first = jiff::Timestamp::now().as_second() + FIRST;
        let due = |number| jiff::Timestamp::from_second(first + number * APART).map(|at| at.to_string());
        let task = |due| json!({"title": "water the plants", "due_at": due});
        let tasks: Vec<Value> = (0..MOMENTS).map(due).map(|due| due.map(task)).collect::<Result<_, _>>()?;
        page.post("/api/tasks/import?user_id=ada", &json!({"items": tasks})).await?.expect(201)?;
        let limit = Duration::from_secs((FIRST + MOMENTS * APART + 30).unsigned_abs());
        let sent = async || Ok(notifications(&page, "ada").await?.len() == usize::try_from(MOMENTS)?);
        until("all have been sent", limit, async || Ok(sent().await?.then_some(()))).await?;
        wait::throughout("each once", Duration::from_secs(15), sent).await?;

        let (mut database, _forward) = platform.database().await?;
        let late = lateness(&mut database).await?;
        let jobs = jobs(&platform).await?;
        eprintln!("claimed after their moments: {late:.2?} s; the job has called {jobs} times");
        assert!(late.iter().all(|late| *late >= -1.0), "before their moments: {late:?}");
        let on_time = late.iter().filter(|late| **late < ON_TIME).count();
        assert!(on_time > LOOKS, "looks can meet {LOOKS} of the moments, and so many were met: {late:?}");
        assert!(jobs >= on_time - LOOKS, "{on_time} were claimed at their moments, and the job has called {jobs} times");
        let events: Vec<i64> = sqlx::query_scalar(
            "SELECT count(*) FROM outbox WHERE topic = 'reminders' AND payload ->> 'user_id' = 'ada' GROUP BY payload ->> 'reminder_id'",
        )
        .fetch_all(&mut database)
        .await?;
        assert_eq!(events, vec![1; usize::try_from(MOMENTS)?], "one event for each");
        Ok(())
    })
    .await;
}

/// Seconds from each reminder's moment to its claim.
async fn lateness(database: &mut PgConnection) -> anyhow::Result<Vec<f64>> {
    let late = "SELECT extract(epoch FROM claimed_at - remind_at)::float8 FROM task_reminders ORDER BY remind_at";
    Ok(sqlx::query_scalar(late).fetch_all(database).await?)
}

/// How often Dapr's scheduler has called a backend pod.
async fn jobs(platform: &Platform) -> anyhow::Result<usize> {
    let (client, namespace) = (&platform.namespace.env.client, &platform.namespace.name);
    let mut calls = 0;
    for pod in ready_pods(client, namespace, "backend-service").await? {
        let metrics = Http::new(Forward::to_pod(client, namespace, &pod, 8081).await?)?.get("/metrics").await?.text;
        let answered = |line: &&str| {
            line.starts_with("http_requests_total{")
                && line.contains(r#"path="/job/next-reminder""#)
                && line.contains(r#"status="200""#)
        };
        let counts = metrics.lines().filter(answered).filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        calls += counts.sum::<usize>();
    }
    Ok(calls)
}
