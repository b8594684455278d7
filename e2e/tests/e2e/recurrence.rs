//! Recurring tasks.

use std::time::Duration;

use serde_json::json;
use todo_e2e::harness::{until, wait};

use crate::shared::{self, add_task, tasks};

#[tokio::test]
async fn a_completed_daily_task_gets_its_next_occurrence_once() {
    shared::with("daily", async |platform, user| {
        let page = platform.page().await?;
        // Rules of RFC 5545 know no fractions of a second.
        let due = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 3600)?;
        let task = json!({
            "user_id": user,
            "title": "stretch",
            "due_at": due.to_string(),
            "time_zone": "Europe/Berlin",
            "recurrence": {"rrule": "FREQ=DAILY"},
        });
        let task = add_task(&page, task).await?;
        let id = task["id"].as_str().unwrap();
        let complete = format!("/api/tasks/{id}/complete?user_id={user}");
        page.post(&complete, &json!({})).await?.expect(200)?;

        let open = async || {
            let open = tasks(&page, &user).await?.into_iter().filter(|task| task["status"] == "open");
            Ok::<_, anyhow::Error>(open.collect::<Vec<_>>())
        };
        let next =
            until("the next occurrence is there", Duration::from_secs(30), async || Ok(open().await?.pop())).await?;
        assert_eq!(next["series_id"], task["series_id"]);
        let (due, next_due): (jiff::Timestamp, jiff::Timestamp) =
            (task["due_at"].as_str().unwrap().parse()?, next["due_at"].as_str().unwrap().parse()?);
        let berlin = |at: jiff::Timestamp| at.to_zoned(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
        // A day later by the clock on the wall; over a change of the clocks that is not 24 hours.
        assert_eq!(berlin(next_due), berlin(due).checked_add(jiff::Span::new().days(1))?);

        // Told again what it knows already, by the service's own route and by the backend's.
        let again = format!("/api/tasks/{id}/process-completion?user_id={user}");
        page.post(&again, &json!({})).await?.expect(200)?;
        let stays = async || Ok(open().await?.len() == 1);
        wait::throughout("one open occurrence", Duration::from_secs(10), stays).await
    })
    .await;
}
