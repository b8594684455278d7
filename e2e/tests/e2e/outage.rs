//! A broker or a database that hangs is told truthfully, and nothing is lost by it.

use std::time::Duration;

use serde_json::json;
use todo_e2e::harness::{Frozen, Namespace, Platform, Transitions, until};

use crate::shared::{add_task, tasks};

/// As the documents promise.
const NOTICED: Duration = Duration::from_secs(15);
const RECOVERED: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_broker_that_hangs_makes_the_platform_unready_while_writes_go_on_and_their_events_arrive_later() {
    Namespace::with("outage", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let page = platform.page().await?;

        let transitions = Transitions::of(&platform, "Ready").await?;
        let broker = Frozen::freeze(&namespace, "kafka-0", "kafka.Kafka").await?;
        let unready = platform.wait("Ready", "False", NOTICED).await?;
        // Where the test event stopped: before the broker, or behind it.
        assert!(["NotPublished", "NotConsumed"].contains(&unready.reason.as_str()), "{unready:?}");

        // Pods stay in service: a broker is no reason not to take a task.
        let due = "2030-06-01T09:00:00Z";
        let task = json!({"user_id": "ada", "title": "stretch", "due_at": due, "recurrence": {"rrule": "FREQ=DAILY"}});
        let task = add_task(&page, task).await?;
        let complete = format!("/api/tasks/{}/complete?user_id=ada", task["id"].as_str().unwrap());
        page.post(&complete, &json!({})).await?.expect(200)?;
        broker.thaw().await?;

        platform.wait("Ready", "True", RECOVERED).await?;
        until("the event of the outage has had its effect", RECOVERED, async || {
            let list = tasks(&page, "ada").await?;
            Ok((list.iter().filter(|task| task["status"] == "open").count() == 1 && list.len() == 2).then_some(()))
        })
        .await?;

        let database = Frozen::freeze(&namespace, "postgres-0", "postgres").await?;
        platform.wait("Ready", "False", NOTICED).await?;
        database.thaw().await?;
        platform.wait("Ready", "True", RECOVERED).await?;
        let told = until("the watch has seen it, too", NOTICED, async || {
            Ok(Some(transitions.seen()).filter(|seen| seen.len() >= 5))
        })
        .await?;
        assert_eq!(
            told,
            ["True", "False", "True", "False", "True"],
            "one transition for each change, without flapping"
        );
        Ok(())
    })
    .await;
}
