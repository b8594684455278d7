//! Requests that arrive twice: sent again by who got no answer, and by a sidecar that lost its connection.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::ListParams};
use reqwest::Method;
use serde_json::json;
use sqlx::PgConnection;
use todo_e2e::harness::{Metrics, Namespace, Platform, freeze, until, wait};
use uuid::Uuid;

use crate::shared::{self, tasks};

/// How soon a write that was sent is seen in the database.
const SEEN: Duration = Duration::from_secs(10);
const HANDLED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_key_goes_through_both_sidecars_and_its_request_is_done_once() {
    shared::with("repeated", async |platform, user| {
        let page = platform.page().await?;
        let send = async |title: &str| {
            let task = json!({"user_id": user, "title": title});
            page.send(Method::POST, "/api/tasks", &[("idempotency-key", "mine")], &task).await
        };
        let (first, second) =
            (send("water the plants").await?.expect(201)?, send("water the plants").await?.expect(201)?);
        assert_eq!((first.json(), second.headers.contains_key("idempotency-replayed")), (second.json(), true));
        send("water the roses").await?.expect(422)?;
        assert_eq!(tasks(&page, &user).await?.len(), 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_between_two_sidecars_is_done_once() {
    Namespace::with("repeated", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let page = platform.page().await?;
        let (mut database, _forward) = platform.database().await?;
        // There is time to lose the answer: commits of this task take a while, and end even when nobody waits for them.
        let slow = "CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_sleep(5);
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.title = 'slow') EXECUTE FUNCTION slow_commit()";
        sqlx::raw_sql(slow).execute(&mut database).await?;

        let task = json!({"user_id": "ada", "title": "slow"});
        let lose = async {
            let address = commit(&mut database, true).await?;
            let pods = namespace.api::<Pod>().list(&ListParams::default().labels("app=backend-service")).await?;
            let at_work = pods
                .iter()
                .find(|pod| pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()) == address.as_ref());
            let uid = at_work.and_then(ResourceExt::uid).unwrap_or_default();
            freeze::signal(&namespace, &uid, "daprd", "KILL").await
        };
        let (answer, cut) = tokio::join!(page.post("/api/tasks", &task), lose);
        cut?;
        let answer = answer?;
        commit(&mut database, false).await?;
        let stored: Vec<String> =
            sqlx::query_scalar("SELECT id::text FROM tasks WHERE title = 'slow'").fetch_all(&mut database).await?;
        assert_eq!(stored.len(), 1, "{stored:?}, answered {answer:?}");
        // A sidecar gives up when nobody is back after its last try.
        if answer.status.is_success() {
            assert_eq!(answer.json()["id"], stored[0], "{answer:?}");
        }
        an_event_that_comes_twice_is_counted_as_such(&platform).await
    })
    .await;
}

/// By another publisher, which knows of no row of ours and sends the same event twice.
async fn an_event_that_comes_twice_is_counted_as_such(platform: &Platform) -> anyhow::Result<()> {
    let page = platform.page().await?;
    let task = shared::add_task(&page, json!({"user_id": "ada", "title": "water the plants"})).await?;
    let (event, now) = (Uuid::new_v4(), jiff::Timestamp::now().to_string());
    let data = json!({
        "task_id": task["id"], "user_id": "ada", "title": "told twice", "remind_at": now, "notification_method": "push",
    });
    let metadata = json!({"cloudevent.id": event, "partitionKey": task["id"]});
    let entry =
        || json!({"entryId": Uuid::new_v4(), "event": data, "contentType": "application/json", "metadata": metadata});
    let duplicates = async || {
        let metrics = Metrics::of(platform, "notification-service").await?;
        anyhow::Ok(metrics.values("inbox_duplicates_total", "").sum::<f64>())
    };
    let before = duplicates().await?;
    let sidecar = platform.sidecar("backend-service").await?;
    let topic = "/v1.0-alpha1/publish/bulk/kafka-pubsub/reminders";
    sidecar.post(topic, &json!([entry(), entry()])).await?.expect(204)?;
    until("one of the two is counted as a duplicate", HANDLED, async || {
        Ok((duplicates().await? - before >= 1.0).then_some(()))
    })
    .await?;
    // It is counted before the commit of what it came with.
    let shown = async || Ok(shared::notifications(&page, "ada").await?.len() == 1);
    until("it is shown", HANDLED, async || Ok(shown().await?.then_some(()))).await?;
    wait::throughout("it is shown once", SEEN, shown).await
}

/// The address of the pod whose commit takes a while, as soon as there is one; or nothing, as soon as there is none.
async fn commit(database: &mut PgConnection, is_wanted: bool) -> anyhow::Result<Option<String>> {
    const WHOSE: &str =
        "SELECT host(client_addr) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'COMMIT'";
    let begun = std::time::Instant::now();
    loop {
        let address: Option<String> = sqlx::query_scalar(WHOSE).fetch_optional(&mut *database).await?;
        if address.is_some() == is_wanted {
            return Ok(address);
        }
        anyhow::ensure!(begun.elapsed() < SEEN, "there is a commit that takes a while: {}", !is_wanted);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
