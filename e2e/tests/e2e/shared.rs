//! One platform that many scenarios look at, each with users of its own: a platform takes a minute to start and a
//! gigabyte to run. Scenarios that break things make their own.

use serde_json::{Value, json};
use todo_e2e::{
    faults::APPS,
    harness::{Env, Namespace, Platform, dump, forward::ready_pods, http::Http, until},
};

const NAMESPACE: &str = "shared";
const NAME: &str = "todo";

/// Runs a scenario on the shared platform, with a user that nobody else has.
pub(crate) async fn with<Fut>(scenario: &str, run: impl FnOnce(Platform, String) -> Fut)
where
    Fut: Future<Output = anyhow::Result<()>>,
{
    let env = Env::connect().await.expect("a cluster is up: run `cargo xtask up` first");
    let user = format!("{scenario}-{}", uuid::Uuid::new_v4().simple());
    let result = async {
        let namespace = Namespace::named(&env, NAMESPACE).await?;
        // An empty spec on purpose: this is what most users begin with.
        let platform = Platform::apply(&namespace, NAME, json!({})).await?;
        platform.ready().await?;
        // One whose probe failed a moment ago may not be told yet.
        for app in APPS {
            until(&format!("a pod of {app} is ready"), Platform::READY, async || {
                Ok(ready_pods(&env.client, NAMESPACE, app).await?.pop())
            })
            .await?;
        }
        run(platform, user).await
    };
    if let Err(error) = result.await {
        eprintln!("{}", dump::namespace(&env.client, NAMESPACE).await);
        panic!("{scenario}: {error:?}");
    }
}

/// Adds a task by REST and returns it.
pub(crate) async fn add_task(page: &Http, task: Value) -> anyhow::Result<Value> {
    Ok(page.post("/api/tasks", &task).await?.expect(201)?.json())
}

/// Adds a task that repeats daily and completes it, so that its event makes the next one. Returns it as it was before.
pub(crate) async fn complete_a_daily_task(page: &Http, user: &str) -> anyhow::Result<Value> {
    let (due, daily) = ("2030-06-01T09:00:00Z", json!({"rrule": "FREQ=DAILY"}));
    let task = json!({"user_id": user, "title": "stretch", "due_at": due, "recurrence": daily});
    let task = add_task(page, task).await?;
    let complete = format!("/api/tasks/{}/complete?user_id={user}", task["id"].as_str().unwrap_or_default());
    page.post(&complete, &json!({})).await?.expect(200)?;
    Ok(task)
}

/// A user's tasks by REST.
pub(crate) async fn tasks(page: &Http, user: &str) -> anyhow::Result<Vec<Value>> {
    let list = page.get(&format!("/api/tasks?user_id={user}")).await?.expect(200)?.json();
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

/// A user's notifications by REST.
pub(crate) async fn notifications(page: &Http, user: &str) -> anyhow::Result<Vec<Value>> {
    let list = page.get(&format!("/api/notifications?user_id={user}")).await?.expect(200)?.json();
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}
