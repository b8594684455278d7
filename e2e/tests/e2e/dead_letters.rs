//! Events that cannot be handled.

use std::time::Duration;

use anyhow::Context;
use reqwest::StatusCode;
use serde_json::{Value, json};
use todo_e2e::harness::{Platform, http::Http, until};

use crate::shared::{self, add_task, complete_a_daily_task, notifications, tasks};

/// How soon what comes behind such an event is handled.
const GOES_ON: Duration = Duration::from_secs(30);
/// Reminders are looked for every quarter of a minute.
const PUBLISHED: Duration = Duration::from_mins(1);
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
        until("the broker has all of them", PUBLISHED, async || {
            let (mut database, _forward) = platform.database().await?;
            let published: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL AND topic = 'reminders' AND payload ->> 'user_id' = $1",
            )
            .bind(&user)
            .fetch_one(&mut database)
            .await?;
            Ok((usize::try_from(published)? == OTHERS + 1).then_some(()))
        })
        .await?;
        // In the same partition as the one that cannot be handled, and after it.
        let behind = add_task(&page, json!({"user_id": user, "title": "behind it"})).await?;
        tell(&platform, &behind["id"], &user, &poisoned["id"]).await?;
        until("all others have been handled", GOES_ON, async || {
            let shown = notifications(&page, &user).await?;
            let is_shown = shown.iter().any(|one| one["task_id"] == behind["id"]);
            Ok((is_shown && shown.len() == OTHERS + 1).then_some(()))
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

#[tokio::test]
async fn a_completion_that_cannot_be_handled_has_its_successor_once_it_is_replayed() {
    shared::with("unborn", async |platform, user| {
        let (page, management) = (platform.page().await?, platform.http("recurring-task-service", 8081).await?);
        let (mut database, _forward) = platform.database().await?;
        let constraint = user.replace('-', "_");
        let refuse = format!(
            "ALTER TABLE tasks ADD CONSTRAINT {constraint} CHECK (user_id <> '{user}' OR spawned_by IS NULL) NOT VALID"
        );
        sqlx::query(sqlx::AssertSqlSafe(refuse)).execute(&mut database).await?;

        let task = complete_a_daily_task(&page, &user).await?;
        let letter =
            until("the completion is kept as a dead letter", GOES_ON, async || find(&management, &task["id"]).await)
                .await?;

        let accept = format!("ALTER TABLE tasks DROP CONSTRAINT {constraint}");
        sqlx::query(sqlx::AssertSqlSafe(accept)).execute(&mut database).await?;
        let replay = format!("/dead-letters/{}/replay", letter["id"].as_str().unwrap_or_default());
        management.post(&replay, &Value::Null).await?.expect(200)?;
        management.post(&replay, &Value::Null).await?.expect(404)?;
        let open = tasks(&page, &user).await?.into_iter().filter(|task| task["status"] == "open").count();
        assert_eq!(open, 1, "it has one successor");
        Ok(())
    })
    .await;
}

/// Of what other programs may write to a topic: what is no JSON object, and what comes after it.
#[tokio::test]
async fn a_record_that_is_no_event_holds_up_nothing_and_can_be_discarded() {
    shared::with("raw", async |platform, user| {
        let sidecar = platform.sidecar("backend-service").await?;
        for (app, topic) in [("notification-service", "reminders"), ("recurring-task-service", "task-events")] {
            let management = platform.http(app, 8081).await?;
            let before = counted(&management, topic).await?;
            let path = format!("/v1.0/publish/kafka-pubsub/{topic}?metadata.partitionKey={user}");
            let raw = format!("{path}&metadata.rawPayload=true");
            let texts = [format!("hello {user}"), format!(r#"["{user}"]"#)];
            for text in &texts {
                sidecar.upload(&raw, "text/plain", text.clone()).await?.expect(204)?;
            }
            // In the same partition, behind the others.
            let id = uuid::Uuid::new_v4().to_string();
            let poison =
                json!({"specversion": "1.0", "id": id, "type": "poison", "source": "e2e", "data": {"task_id": user}});
            sidecar.upload(&path, "application/cloudevents+json", poison.to_string()).await?.expect(204)?;

            let payloads = [json!(texts[0]), json!([user]), json!({"task_id": user})];
            let letters = until(&format!("all of it is kept, of {topic}"), GOES_ON, async || {
                let mut letters = Vec::new();
                for payload in &payloads {
                    letters.extend(find_by(&management, |letter| letter["payload"] == *payload).await?);
                }
                Ok((letters.len() == payloads.len()).then_some(letters))
            })
            .await?;
            assert_eq!(letters[2]["id"], id.as_str(), "{letters:?}");
            until("the metric tells of each", GOES_ON, async || {
                Ok((counted(&management, topic).await? >= before + 3).then_some(()))
            })
            .await?;
            for letter in letters {
                let letter = format!("/dead-letters/{}", letter["id"].as_str().unwrap_or_default());
                management.post(&format!("{letter}/replay"), &Value::Null).await?.expect(422)?;
                management.delete(&letter).await?.expect(204)?;
                management.get(&letter).await?.expect(404)?;
            }
        }
        Ok(())
    })
    .await;
}

/// Publishes a reminder of `task` with the key of another one, as other programs may.
async fn tell(platform: &Platform, task: &Value, user: &str, key: &Value) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().to_string();
    let reminder =
        json!({"task_id": task, "user_id": user, "title": "told", "remind_at": now, "notification_method": "push"});
    let key = key.as_str().context("no key")?;
    let path = format!("/v1.0/publish/kafka-pubsub/reminders?metadata.partitionKey={key}");
    platform.sidecar("backend-service").await?.post(&path, &reminder).await?.expect(204)?;
    Ok(())
}

/// `dead_letters_total` of a topic.
async fn counted(management: &Http, topic: &str) -> anyhow::Result<u64> {
    let metrics = management.get("/metrics").await?.expect(200)?.text;
    let label = format!("topic=\"{topic}\"");
    let mut counts = metrics.lines().filter(|line| line.starts_with("dead_letters_total{") && line.contains(&label));
    let count = counts.next().and_then(|line| line.rsplit(' ').next());
    Ok(count.context("no metric of the topic's dead letters")?.parse()?)
}

/// The dead letter about a task, with its payload.
async fn find(management: &Http, task: &Value) -> anyhow::Result<Option<Value>> {
    find_by(management, |letter| letter["payload"]["task_id"] == *task).await
}

/// The first that is so, with its payload.
async fn find_by(management: &Http, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<Option<Value>> {
    let list = management.get("/dead-letters").await?.expect(200)?.json();
    for id in list["items"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()) {
        let answer = management.get(&format!("/dead-letters/{id}")).await?;
        // Another scenario's may just have been discarded.
        if answer.status == StatusCode::NOT_FOUND {
            continue;
        }
        let letter = answer.expect(200)?.json();
        if is_it(&letter) {
            return Ok(Some(letter));
        }
    }
    Ok(None)
}
