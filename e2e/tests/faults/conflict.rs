//! Others who change fields of the operator's.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, events::v1::Event};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{Ground, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::{
    scene::Scene,
    support::{beside_others, condition, told, watch_for},
};

const APP: &str = "frontend-service";
/// How long it is watched while it is left alone: longer than passes are apart.
const TRUCE: Duration = Duration::from_secs(12);

/// What somebody does who calls himself `x`.
async fn take(deployments: &Api<Deployment>, replicas: i32) -> anyhow::Result<()> {
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APP}, "spec": {"replicas": replicas},
    });
    deployments.patch(APP, &PatchParams::apply("x").force(), &Patch::Apply(theirs)).await?;
    Ok(())
}

async fn replicas(deployments: &Api<Deployment>) -> anyhow::Result<Option<i32>> {
    Ok(deployments.get(APP).await?.spec.and_then(|spec| spec.replicas))
}

/// What `kubectl scale` does, or an autoscaler.
async fn scale_as(manager: &str, deployments: &Api<Deployment>, replicas: i32) -> anyhow::Result<()> {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    deployments.patch_scale(APP, &params, &Patch::Merge(json!({"spec": {"replicas": replicas}}))).await?;
    Ok(())
}

/// Asks for an autoscaler, and waits until there is one and the number of pods is its to choose.
async fn leave_to_autoscaler(scene: &Scene<'_>, least: i32) -> anyhow::Result<()> {
    let service = json!({"autoscaling": {"minReplicas": least, "maxReplicas": 4}});
    scene.change_spec(&json!({"suspend": null, "services": {"frontend": service}})).await?;
    let (autoscalers, deployments) = (scene.all::<HorizontalPodAutoscaler>(), scene.all::<Deployment>());
    until("the number is the autoscaler's", SETTLED, || async {
        let annotations = deployments.get(APP).await?.metadata.annotations.unwrap_or_default();
        let is_there = autoscalers.get_opt(APP).await?.is_some();
        Ok((is_there && annotations.contains_key("todoplatform.dev/autoscaled")).then_some(()))
    })
    .await
}

/// Wants this number of pods and no autoscaler, and waits until that is so and the status says it.
async fn take_from_autoscaler(scene: &Scene<'_>, wanted: i32) -> anyhow::Result<()> {
    want_no_autoscaler(scene, wanted).await?;
    number_is_ours(scene, wanted).await
}

async fn want_no_autoscaler(scene: &Scene<'_>, wanted: i32) -> anyhow::Result<()> {
    let service = json!({"autoscaling": null, "replicas": wanted});
    scene.change_spec(&json!({"services": {"frontend": service}})).await
}

/// Waits until a service has this number of pods and no autoscaler, and the status says it.
async fn number_is_ours(scene: &Scene<'_>, wanted: i32) -> anyhow::Result<()> {
    let platforms = scene.all::<TodoPlatform>();
    let (autoscalers, deployments) = (scene.all::<HorizontalPodAutoscaler>(), scene.all::<Deployment>());
    until("the number is ours and the status says so", SETTLED, || async {
        let platform = platforms.get("todo").await?;
        let told = platform.status.and_then(|status| status.observed_generation) == platform.metadata.generation;
        let deployment = deployments.get(APP).await?;
        let annotations = deployment.metadata.annotations.unwrap_or_default();
        let ours = deployment.spec.and_then(|spec| spec.replicas) == Some(wanted)
            && !annotations.contains_key("todoplatform.dev/autoscaled")
            && autoscalers.get_opt(APP).await?.is_none();
        Ok((told && ours).then_some(()))
    })
    .await
}

/// Looks into the status, the events and the log, where it stands before anything is written.
async fn nobody_is_accused(scene: &Scene<'_>) -> anyhow::Result<()> {
    let status = scene.all::<TodoPlatform>().get("todo").await?.status.unwrap_or_default();
    anyhow::ensure!(status.ownership_conflicts.is_empty(), "accused: {:?}", status.ownership_conflicts);
    let events = scene.all::<Event>().list(&ListParams::default()).await?;
    let accused = events.items.into_iter().filter(|event| event.reason.as_deref() == Some("OwnershipConflict"));
    let accused: Vec<_> = accused.filter_map(|event| event.note).collect();
    anyhow::ensure!(accused.is_empty(), "accused: {accused:?}");
    let lines = scene.operator.lines_with("somebody else claims a field");
    anyhow::ensure!(lines == 0, "accused in the log {lines} times");
    Ok(())
}

/// Scales to nothing while the operator only looks.
async fn pause_at_none(scene: &Scene<'_>) -> anyhow::Result<()> {
    scene.change_spec(&json!({"suspend": true})).await?;
    until("it only looks", SETTLED, || async {
        let generation = scene.all::<TodoPlatform>().get("todo").await?.metadata.generation;
        let progressing = condition(scene.client, &scene.namespace, "Progressing").await?;
        Ok(progressing.filter(|one| one.reason == "Suspended" && one.observed_generation == generation).map(drop))
    })
    .await?;
    scale_as("kubectl", &scene.all(), 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_field_three_times_is_named_with_it_and_the_object_is_left_alone() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let deployments = scene.all();
    let ours = replicas(&deployments).await?;

    for theirs in [7, 8] {
        take(&deployments, theirs).await?;
        until("it is taken back", SETTLED, || async { Ok((replicas(&deployments).await? == ours).then_some(())) })
            .await?;
    }
    take(&deployments, 9).await?;
    let note = told(scene.client, &scene.namespace, "OwnershipFight").await?;
    let expected = format!("x takes .spec.replicas of Deployment/{APP} again and again");
    anyhow::ensure!(note.contains(&expected), "{note}");
    let note = told(scene.client, &scene.namespace, "OwnershipConflict").await?;
    anyhow::ensure!(note == format!("x claimed .spec.replicas of Deployment/{APP}"), "{note}");

    let status = scene.all::<TodoPlatform>().get("todo").await?.status.unwrap_or_default();
    let named: Vec<_> = status.ownership_conflicts.iter().map(|one| [&one.object, &one.field, &one.manager]).collect();
    anyhow::ensure!(named == [["Deployment/frontend-service", ".spec.replicas", "x"]], "{named:?}");

    let truce = watch_for(TRUCE, &scene.proxy).await;
    let writes: Vec<_> = truce.work().map(|entry| entry.target.to_string()).collect();
    anyhow::ensure!(writes.is_empty(), "written while it was to be left alone: {writes:?}");
    anyhow::ensure!(replicas(&deployments).await? == Some(9), "it was taken back all the same");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_is_accused_of_nothing_when_its_number_of_pods_is_taken_back() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    leave_to_autoscaler(&scene, 1).await?;
    scale_as("kube-controller-manager", &scene.all(), 3).await?;
    take_from_autoscaler(&scene, 2).await?;
    nobody_is_accused(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_it_later_if_its_number_was_that_of_the_spec_but_who_scales_by_hand_is() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let deployments = scene.all();
    leave_to_autoscaler(&scene, 1).await?;
    scale_as("kube-controller-manager", &deployments, 3).await?;
    for ours in [3, 4] {
        take_from_autoscaler(&scene, ours).await?;
        nobody_is_accused(&scene).await.with_context(|| format!("{ours} pods"))?;
    }

    scale_as("kubectl", &deployments, 6).await?;
    let note = told(scene.client, &scene.namespace, "OwnershipConflict").await?;
    anyhow::ensure!(note == format!("kubectl claimed .spec.replicas of Deployment/{APP}"), "{note}");
    until("it is taken back", SETTLED, || async { Ok((replicas(&deployments).await? == Some(4)).then_some(())) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_it_if_it_still_acts_while_it_is_taken_away() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    leave_to_autoscaler(&scene, 1).await?;
    let deletion = Target {
        verb: "delete",
        resource: "horizontalpodautoscalers".to_owned(),
        name: APP.to_owned(),
        ..Target::default()
    };
    scene.proxy.set(vec![Rule::once(deletion, Fault::Hold)]);
    want_no_autoscaler(&scene, 2).await?;
    until("it is about to be deleted", SETTLED, || async { Ok(scene.proxy.happened().first().map(drop)) }).await?;
    scale_as("kube-controller-manager", &scene.all(), 4).await?;
    scene.proxy.lift(Fault::Hold);
    number_is_ours(&scene, 2).await?;
    nobody_is_accused(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scaled_to_nothing_comes_back_although_an_autoscaler_leaves_it_so() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let deployments = scene.all();
    let comes_back = async |what: &str| {
        let has_two = || async { Ok((replicas(&deployments).await? == Some(2)).then_some(())) };
        until(&format!("it has the fewest pods that it may have: {what}"), SETTLED, has_two).await
    };

    pause_at_none(&scene).await?;
    leave_to_autoscaler(&scene, 2).await?;
    comes_back("resumed with an autoscaler").await?;
    scale_as("kubectl", &deployments, 0).await?;
    comes_back("scaled to nothing").await?;
    pause_at_none(&scene).await?;
    anyhow::ensure!(replicas(&deployments).await? == Some(0), "written while it was to be looked at");
    scene.change_spec(&json!({"suspend": null})).await?;
    comes_back("resumed").await?;

    // It is the autoscaler's again: what else is written leaves it alone.
    scale_as("kube-controller-manager", &deployments, 3).await?;
    scene.change_spec(&json!({"services": {"frontend": {"podAnnotations": {"team": "a"}}}})).await?;
    until("the annotation is there", SETTLED, || async {
        let template = deployments.get(APP).await?.spec.and_then(|spec| spec.template.metadata);
        let annotations = template.and_then(|metadata| metadata.annotations).unwrap_or_default();
        Ok(annotations.contains_key("team").then_some(()))
    })
    .await?;
    let now = replicas(&deployments).await?;
    anyhow::ensure!(now == Some(3), "the autoscaler's number became {now:?}");
    Ok(())
}
