//! What a change of the spec or of a Secret does to the pods that serve.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Pod, Secret},
};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use todo_e2e::harness::{Namespace, Platform, ReadyPods, until, wait};

const BACKEND: &str = "backend-service";
/// Pulling, and seeing that it cannot be.
const STUCK: Duration = Duration::from_mins(1);
/// The kubelet starts it thrice, with growing waits.
const CRASHING: Duration = Duration::from_mins(2);
const ROLLED: Duration = Duration::from_mins(2);
const SOON: Duration = Duration::from_secs(20);

/// UIDs of an app's pods that are not on their way out.
async fn pods(namespace: &Namespace, app: &str) -> anyhow::Result<BTreeSet<String>> {
    let list = namespace.api::<Pod>().list(&ListParams::default().labels(&format!("app={app}"))).await?;
    let staying = list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(staying.filter_map(|pod| pod.uid()).collect())
}

async fn deployment(namespace: &Namespace, app: &str) -> anyhow::Result<Deployment> {
    Ok(namespace.api::<Deployment>().get(app).await?)
}

async fn ready_pods(namespace: &Namespace, app: &str) -> anyhow::Result<i32> {
    let status = deployment(namespace, app).await?.status;
    Ok(status.and_then(|status| status.ready_replicas).unwrap_or_default())
}

/// Waits until the platform says that a rollout is stuck, with all these words. A busy node may refuse its last words once.
async fn is_told_stuck(platform: &Platform, limit: Duration, words: &[&str]) -> anyhow::Result<()> {
    until(&format!("Degraded says {words:?}"), limit, async || {
        let degraded = platform.condition("Degraded").await?.filter(|one| one.status == "True");
        let Some(degraded) = degraded else { return Ok(None) };
        let says_all = degraded.reason == "RolloutStuck" && words.iter().all(|word| degraded.message.contains(word));
        anyhow::ensure!(says_all, "{}: {}", degraded.reason, degraded.message);
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_named_while_the_old_pods_serve_and_taking_it_back_restarts_nothing() {
    Namespace::with("image", async |namespace| {
        let spec = |image: &str| json!({"services": {"backend": {"replicas": 2, "image": image}}});
        let without = json!({"services": {"backend": {"replicas": 2}}});
        let platform = Platform::apply(&namespace, "todo", without.clone()).await?;
        platform.ready().await?;
        let before = pods(&namespace, BACKEND).await?;

        // A port that nobody listens on, so that the answer is quick and comes from this machine.
        let image = "127.0.0.1:1/todo-backend:none";
        Platform::apply(&namespace, "todo", spec(image)).await?;
        is_told_stuck(&platform, STUCK, &[BACKEND, "ImagePullBackOff", image]).await?;
        platform.wait("Ready", "True", SOON).await?;
        platform.page().await?.get("/api/tasks?user_id=ada").await?.expect(200)?;
        let during = pods(&namespace, BACKEND).await?;
        assert!(during.is_superset(&before), "pods that served are gone: {before:?}, {during:?}");

        Platform::apply(&namespace, "todo", without).await?;
        platform.wait("Degraded", "False", STUCK).await?;
        until("only the pods from before are there", SOON, async || {
            Ok((pods(&namespace, BACKEND).await? == before).then_some(()))
        })
        .await?;
        platform.ready().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_image_that_crashes_is_told_with_its_last_words_while_the_old_pods_serve() {
    Namespace::with("crash", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let before = pods(&namespace, BACKEND).await?;
        let mut serving = ReadyPods::of(&namespace, BACKEND).await?;

        // PostgreSQL's, which says what it lacks, and ends.
        let database = namespace.api::<StatefulSet>().get("postgres").await?.spec.and_then(|spec| spec.template.spec);
        let image = database.and_then(|spec| spec.containers.into_iter().next()?.image);
        Platform::apply(&namespace, "todo", json!({"services": {"backend": {"image": image}}})).await?;
        let words = [BACKEND, "CrashLoopBackOff", "container backend: ended with code 1: "];
        is_told_stuck(&platform, CRASHING, &words).await?;
        platform.wait("Ready", "True", SOON).await?;
        platform.page().await?.get("/api/tasks?user_id=ada").await?.expect(200)?;

        Platform::apply(&namespace, "todo", json!({})).await?;
        platform.wait("Degraded", "False", STUCK).await?;
        until("only the pods from before are there", SOON, async || {
            Ok((pods(&namespace, BACKEND).await? == before).then_some(()))
        })
        .await?;
        platform.ready().await?;
        assert_eq!(serving.least()?, before.len(), "pods that were ready all the time");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_autoscaler_takes_over_the_number_of_pods_and_gives_it_back_without_replacing_any() {
    Namespace::with("scale", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let before = pods(&namespace, BACKEND).await?;
        let mut serving = ReadyPods::of(&namespace, BACKEND).await?;
        let autoscaling = json!({"minReplicas": 2, "maxReplicas": 4});
        Platform::apply(&namespace, "todo", json!({"services": {"backend": {"autoscaling": autoscaling}}})).await?;
        until("the autoscaler is there", SOON, async || {
            Ok(namespace.api::<HorizontalPodAutoscaler>().get_opt(BACKEND).await?)
        })
        .await?;
        platform.ready().await?;
        // What an autoscaler does, by the same subresource.
        let scale = Patch::Merge(json!({"spec": {"replicas": 3}}));
        namespace.api::<Deployment>().patch_scale(BACKEND, &PatchParams::default(), &scale).await?;
        until("the third pod is ready", ROLLED, async || {
            Ok((ready_pods(&namespace, BACKEND).await? == 3).then_some(()))
        })
        .await?;
        wait::throughout("the autoscaler's number stays", Duration::from_secs(10), async || {
            Ok(deployment(&namespace, BACKEND).await?.spec.and_then(|spec| spec.replicas) == Some(3))
        })
        .await?;
        let grown = pods(&namespace, BACKEND).await?;
        assert!(grown.is_superset(&before), "pods were replaced: {before:?}, {grown:?}");
        assert_eq!(serving.least()?, before.len(), "none was missing while the autoscaler took over");
        let mut serving = ReadyPods::of(&namespace, BACKEND).await?;

        Platform::apply(&namespace, "todo", json!({"services": {"backend": {"replicas": 2}}})).await?;
        until("the autoscaler is gone", SOON, async || {
            let autoscaler = namespace.api::<HorizontalPodAutoscaler>().get_opt(BACKEND).await?;
            Ok(autoscaler.is_none().then_some(()))
        })
        .await?;
        platform.ready().await?;
        until("one pod is gone", ROLLED, async || Ok((pods(&namespace, BACKEND).await?.len() == 2).then_some(())))
            .await?;
        let left = pods(&namespace, BACKEND).await?;
        assert!(left.is_subset(&grown), "pods were replaced: {grown:?}, {left:?}");
        assert_eq!(serving.least()?, left.len(), "none was missing while the autoscaler was taken away");
        let accused = platform.get().await?.status.unwrap_or_default().ownership_conflicts;
        assert!(accused.is_empty(), "the autoscaler did what it was asked to: {accused:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_rotated_secret_restarts_the_pods_that_use_it_once_and_no_others() {
    Namespace::with("rotation", async |namespace| {
        let key = |value: &str| -> Secret {
            let secret = json!({"metadata": {"name": "openai-api-key"}, "stringData": {"api-key": value}});
            serde_json::from_value(secret).expect("a Secret")
        };
        namespace.api::<Secret>().create(&PostParams::default(), &key("first")).await?;
        let reference = json!({"secretKeyRef": {"name": "openai-api-key", "key": "api-key"}});
        // Nobody is asked: no one chats here.
        let spec = json!({"ai": {"apiKey": reference, "baseUrl": "http://127.0.0.1:1/v1"}});
        let platform = Platform::apply(&namespace, "todo", spec).await?;
        platform.ready().await?;
        let others = ["notification-service", "recurring-task-service", "frontend-service", "kafka", "postgres"];
        let mut unconcerned = Vec::new();
        for app in others {
            let present = pods(&namespace, app).await?;
            anyhow::ensure!(!present.is_empty(), "{app} has no pods");
            unconcerned.push(present);
        }
        let old = pods(&namespace, BACKEND).await?;
        let generation = deployment(&namespace, BACKEND).await?.metadata.generation;

        let patch = Patch::Merge(json!({"stringData": {"api-key": "second"}}));
        namespace.api::<Secret>().patch("openai-api-key", &PatchParams::default(), &patch).await?;
        until("the backend's pods are new", ROLLED, async || {
            let now = pods(&namespace, BACKEND).await?;
            let ready = ready_pods(&namespace, BACKEND).await?;
            Ok((now.is_disjoint(&old) && now.len() == old.len() && ready == 2).then_some(()))
        })
        .await?;
        platform.ready().await?;
        let new = pods(&namespace, BACKEND).await?;
        wait::throughout("nothing else restarts", Duration::from_secs(15), async || {
            for (app, before) in others.iter().zip(&unconcerned) {
                anyhow::ensure!(pods(&namespace, app).await? == *before, "{app} was restarted");
            }
            let rolled_once = deployment(&namespace, BACKEND).await?.metadata.generation == generation.map(|n| n + 1);
            Ok(rolled_once && pods(&namespace, BACKEND).await? == new)
        })
        .await
    })
    .await;
}
