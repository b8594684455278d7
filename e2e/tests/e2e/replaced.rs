//! All pods of a service are replaced while it is used.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use todo_e2e::harness::{Namespace, Platform, http::Http, until};
use tokio::time::{sleep, timeout};

use crate::shared;

/// One pod after the other, each with the time for which it serves on.
const REPLACED: Duration = Duration::from_mins(3);
/// A sidecar would keep the address of one that has gone for as long.
const FORGOTTEN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);
/// A call to a pod that has gone takes until it is given up, 30 s.
const ANSWERED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn no_call_waits_or_fails_while_all_pods_of_a_service_are_replaced() {
    Namespace::with("replaced", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({"services": {"backend": {"replicas": 2}}})).await?;
        platform.ready().await?;
        let page = platform.busy_page().await?;

        // So that the page's sidecar knows where they are.
        add(&page, "before".to_owned()).await?;
        let before = names(&namespace).await?;
        assert_eq!(before.len(), 2, "{before:?}");
        // As `kubectl rollout restart` does it.
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
        let restart = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        let deployments = namespace.api::<Deployment>();
        deployments.patch("backend-service", &PatchParams::default(), &Patch::Merge(restart)).await?;

        let over = AtomicBool::new(false);
        let calls = stream::unfold(0, |n| {
            let over = &over;
            async move {
                sleep(PAUSE).await;
                (!over.load(Ordering::Relaxed)).then_some((n, n + 1))
            }
        });
        let answers = calls
            .map(|n| {
                let page = &page;
                async move { (n, timeout(ANSWERED, add(page, format!("task {n}"))).await) }
            })
            .buffer_unordered(64)
            .collect::<Vec<_>>();
        let replaced = async {
            let result = until("all pods are others", REPLACED, async || {
                Ok(names(&namespace).await?.is_disjoint(&before).then_some(()))
            })
            .await;
            sleep(FORGOTTEN).await;
            over.store(true, Ordering::Relaxed);
            result
        };
        let (answers, result) = tokio::join!(answers, replaced);
        result?;
        let refused: Vec<_> = answers.iter().filter(|(_, answer)| !matches!(answer, Ok(Ok(())))).collect();
        assert!(refused.is_empty(), "of {} calls: {refused:?}", answers.len());

        let stored = page.get("/api/tasks/export?user_id=ada").await?.expect(200)?.json();
        let mut titles: Vec<_> = stored["items"].as_array().into_iter().flatten().map(|one| &one["title"]).collect();
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

/// Names of the backend's pods, those on their way out among them.
async fn names(namespace: &Namespace) -> anyhow::Result<BTreeSet<String>> {
    let list = namespace.api::<Pod>().list(&ListParams::default().labels("app=backend-service")).await?;
    Ok(list.items.iter().map(ResourceExt::name_any).collect())
}
