//! All pods of a service at once are replaced while it is used.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use todo_e2e::harness::{Namespace, Platform, http::Http};
use tokio::time::{sleep, timeout};

use crate::shared;

/// Old pods serve on until nobody looks for them any more, which takes less.
const WATCHED: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(250);
/// A call to a pod that has gone takes until it is given up, 30 s.
const ANSWERED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn no_call_waits_or_fails_while_all_pods_of_a_service_are_replaced_at_once() {
    Namespace::with("replaced", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({"services": {"backend": {"replicas": 2}}})).await?;
        platform.ready().await?;
        let page = platform.page().await?;

        // So that the page's sidecar knows where they are.
        add(&page, "before".to_owned()).await?;
        let pods = namespace.api::<Pod>();
        let before: BTreeSet<String> = names(&namespace).await?;
        assert_eq!(before.len(), 2, "{before:?}");
        for pod in &before {
            pods.delete(pod, &DeleteParams::default()).await?;
        }
        let began = Instant::now();
        let calls = stream::unfold(0, |n| async move {
            sleep(PAUSE).await;
            (began.elapsed() < WATCHED).then_some((n, n + 1))
        });
        let answers: Vec<_> = calls
            .map(|n| {
                let page = &page;
                async move { (n, began.elapsed(), timeout(ANSWERED, add(page, format!("task {n}"))).await) }
            })
            .buffer_unordered(64)
            .collect()
            .await;
        let refused: Vec<_> = answers.iter().filter(|(.., answer)| !matches!(answer, Ok(Ok(())))).collect();
        assert!(refused.is_empty(), "of {} calls: {refused:?}", answers.len());
        assert!(names(&namespace).await?.is_disjoint(&before), "they were not replaced");

        let stored = page.get("/api/tasks/export?user_id=ada").await?.expect(200)?.json();
        let mut titles: Vec<_> = stored["tasks"].as_array().into_iter().flatten().map(|one| &one["title"]).collect();
        titles.sort_by_key(ToString::to_string);
        assert_eq!(titles.len(), answers.len() + 1, "each call adds one task: {titles:?}");
        titles.dedup();
        assert_eq!(titles.len(), answers.len() + 1, "no call adds two");
        println!("{} calls answered", answers.len());
        Ok(())
    })
    .await;
}

async fn add(page: &Http, title: String) -> anyhow::Result<()> {
    shared::add_task(page, json!({"user_id": "ada", "title": title})).await.map(drop)
}

/// Names of the backend's pods that are not on their way out.
async fn names(namespace: &Namespace) -> anyhow::Result<BTreeSet<String>> {
    let list = namespace.api::<Pod>().list(&ListParams::default().labels("app=backend-service")).await?;
    let staying = list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(staying.map(|pod| pod.name_any()).collect())
}
