//! Reminders: claimed once, delivered once, however many replicas and ticks there are.

use std::time::Duration;

use serde_json::{Value, json};
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
