//! Events that cannot be handled.

use std::time::Duration;

use serde_json::{Value, json};
use todo_e2e::harness::{http::Http, until};

use crate::shared::{self, add_task, notifications};

/// How soon what comes behind such an event is handled.
const GOES_ON: Duration = Duration::from_secs(30);
/// Enough for each partition to have some.
const OTHERS: usize = 24;

#[tokio::test]
async fn an_event_that_cannot_be_handled_holds_up_no_other_and_is_replayed_once_what_was_in_the_way_is_gone() {
    shared::with("poison", async |platform, user| {
        let (page, management) = (platform.page().await?, platform.http("notification-service", 8081).await?);
        let (mut database, _forward) = platform.database().await?;
        let poison = format!("poison of {user}");
        // In the way of this one alone.
        let constraint = user.replace('-', "_");
        let refuse = format!("ALTER TABLE notifications ADD CONSTRAINT {constraint} CHECK (title <> '{poison}') NOT VALID");
        sqlx::query(sqlx::AssertSqlSafe(refuse)).execute(&mut database).await?;

        let due = |title: &str| {
            json!({"user_id": user, "title": title, "due_at": jiff::Timestamp::now().to_string(), "time_zone": "Etc/UTC"})
        };
        let poisoned = add_task(&page, due(&poison)).await?;
        for number in 0..OTHERS {
            add_task(&page, due(&format!("task {number}"))).await?;
        }
        until("all others have been handled", GOES_ON, async || {
            Ok((notifications(&page, &user).await?.len() == OTHERS).then_some(()))
        })
        .await?;
        let letter = until("the event is kept as a dead letter", GOES_ON, async || {
            find(&management, &poisoned["id"]).await
        })
        .await?;
        assert!(letter["error"].as_str().is_some_and(|why| !why.is_empty()), "it says why: {letter}");

        let replay = format!("/dead-letters/{}/replay", letter["id"].as_str().unwrap_or_default());
        let refused = management.post(&replay, &Value::Null).await?;
        assert!(refused.status.is_server_error(), "what is in the way is still there: {} {}", refused.status, refused.text);
        let accept = format!("ALTER TABLE notifications DROP CONSTRAINT {constraint}");
        sqlx::query(sqlx::AssertSqlSafe(accept)).execute(&mut database).await?;
        management.post(&replay, &Value::Null).await?.expect(200)?;
        management.post(&replay, &Value::Null).await?.expect(404)?;
        let all = notifications(&page, &user).await?;
        assert_eq!(all.iter().filter(|one| one["task_id"] == poisoned["id"]).count(), 1, "handled once");
        assert_eq!(find(&management, &poisoned["id"]).await?, None, "it is no dead letter any more");
        Ok(())
    })
    .await;
}

/// The dead letter about a task, with its payload.
async fn find(management: &Http, task: &Value) -> anyhow::Result<Option<Value>> {
    let list = management.get("/dead-letters").await?.expect(200)?.json();
    for id in list["items"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()) {
        let letter = management.get(&format!("/dead-letters/{id}")).await?.expect(200)?.json();
        if letter["payload"]["task_id"] == *task {
            return Ok(Some(letter));
        }
    }
    Ok(None)
}
