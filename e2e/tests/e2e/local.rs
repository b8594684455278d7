//! A platform without Kubernetes, exactly as the folder that `render --local` writes says.

use std::time::Duration;

use serde_json::json;
use todo_e2e::{
    cluster::{Cluster, Settings},
    harness::{LocalPlatform, http::Http, until},
};

use crate::shared::{add_task, tasks};

const USER: &str = "laptop";

#[tokio::test]
async fn a_rendered_folder_runs_without_kubernetes() {
    let cluster =
        Cluster::running(&Settings::from_env().unwrap()).await.expect("a cluster is up: run `cargo xtask up`");
    let mut platform = LocalPlatform::render(&cluster).await.unwrap().start().await.unwrap();
    let result = async {
        platform.healthy().await?;
        a_daily_task_comes_again(&platform.page()?).await
    };
    if let Err(error) = result.await {
        eprintln!("{}", platform.dump());
        panic!("{error:?}");
    }
}

/// The page is there, a task comes to the backend and is listed, and its completion becomes an event that the
/// recurring-task service answers with the next occurrence.
async fn a_daily_task_comes_again(page: &Http) -> anyhow::Result<()> {
    let index = page.get("/").await?.expect(200)?;
    anyhow::ensure!(index.text.contains("<html"), "no page: {}", index.text);
    let limit = Duration::from_mins(1);
    let listed = async || tasks(page, USER).await;
    until("the backend answers through both sidecars", limit, async || Ok(Some(listed().await?))).await?;

    let due = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 3600)?;
    let task = json!({
        "user_id": USER,
        "title": "water the plants",
        "due_at": due.to_string(),
        "recurrence": {"rrule": "FREQ=DAILY"},
    });
    let task = add_task(page, task).await?;
    anyhow::ensure!(listed().await?.iter().any(|one| one["id"] == task["id"]), "the task is not listed");
    let complete = format!("/api/tasks/{}/complete?user_id={USER}", task["id"].as_str().unwrap_or_default());
    page.post(&complete, &json!({})).await?.expect(200)?;
    let next = until("the next occurrence is there", limit, async || {
        Ok(listed().await?.into_iter().find(|one| one["status"] == "open"))
    });
    let next = next.await?;
    anyhow::ensure!(next["series_id"] == task["series_id"] && next["id"] != task["id"], "another task: {next}");
    Ok(())
}
