//! A platform that is looked at and not touched.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use kube::{
    api::{DeleteParams, Patch, PatchParams},
    core::ObjectMeta,
};
use serde_json::json;
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{Ground, Options, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::{scene::Scene, support::beside_others};

/// Waits until the operator has said this of the spec that the platform has now.
async fn degraded(scene: &Scene<'_>, reason: &str) -> anyhow::Result<()> {
    let platforms = scene.all::<TodoPlatform>();
    until(&format!("Degraded is {reason}"), SETTLED, || async {
        let platform = platforms.get("todo").await?;
        let generation = platform.metadata.generation;
        let conditions = platform.status.map(|status| status.conditions).unwrap_or_default();
        let condition = conditions.into_iter().find(|one| one.type_ == "Degraded");
        Ok(condition.filter(|one| one.reason == reason && one.observed_generation == generation).map(|_| ()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_written_is_no_longer_told_while_nobody_tries_it() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let services = Target { verb: "patch", resource: "services".to_owned(), ..Target::default() };
    let refused = vec![Rule::always(services, Fault::Refuse(403))];
    let scene = Scene::with(&ground, Options::default(), refused).await?;
    Ground::make_platform(scene.client, &scene.namespace).await?;
    degraded(&scene, "Forbidden").await?;
    scene.change_spec(&json!({"suspend": true})).await?;
    degraded(&scene, "AsExpected").await?;
    scene.change_spec(&json!({"suspend": null})).await?;
    degraded(&scene, "Forbidden").await?;
    scene.proxy.set(Vec::new());
    degraded(&scene, "AsExpected").await?;
    scene.created().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_alone_shows_is_told_although_nobody_tries_to_write_it() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let services = scene.all::<Service>();
    let of_another = json!({"metadata": {"ownerReferences": null, "labels": {"todoplatform.dev/platform": "another"}}});
    services.patch("frontend-service", &PatchParams::default(), &Patch::Merge(of_another)).await?;
    degraded(&scene, "ForeignObject").await?;
    scene.change_spec(&json!({"suspend": true})).await?;
    degraded(&scene, "ForeignObject").await?;
    services.delete("frontend-service", &DeleteParams::default()).await?;
    degraded(&scene, "AsExpected").await?;
    scene.change_spec(&json!({"suspend": null})).await?;
    until("it is made again", SETTLED, || async { Ok(services.get_opt("frontend-service").await?.map(drop)) }).await
}

/// Whether the data of a platform with its own Kafka goes with it.
async fn goes(scene: &Scene<'_>) -> anyhow::Result<[bool; 2]> {
    let (claims, secrets) = (scene.all::<PersistentVolumeClaim>(), scene.all::<Secret>());
    let is_owned = |metadata: ObjectMeta| metadata.owner_references.is_some_and(|owners| !owners.is_empty());
    let (claim, secret) = (claims.get("data-kafka-0").await?, secrets.get("kafka-password").await?);
    Ok([is_owned(claim.metadata), is_owned(secret.metadata)])
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_a_suspended_platform_would_still_take_with_it_is_told() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::on(&ground).await?;
    Ground::make_platform_of(scene.client, &scene.namespace, &json!({"deletionPolicy": "Delete"})).await?;
    ground.created_but_services(&scene.proxy, &scene.namespace).await?;
    anyhow::ensure!(goes(&scene).await? == [true; 2], "it stays");
    scene.change_spec(&json!({"suspend": true, "deletionPolicy": "Retain"})).await?;
    degraded(&scene, "DeletionPolicyNotApplied").await?;
    anyhow::ensure!(goes(&scene).await? == [true; 2], "it was written while it was suspended");
    scene.change_spec(&json!({"suspend": null})).await?;
    degraded(&scene, "AsExpected").await?;
    anyhow::ensure!(goes(&scene).await? == [false; 2], "it still goes");
    scene.change_spec(&json!({"suspend": true})).await?;
    degraded(&scene, "AsExpected").await
}
