//! What somebody else made.

use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::api::{
    apps::v1::Deployment, core::v1::ConfigMap, networking::v1::NetworkPolicy, policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use todo_e2e::{
    faults::{Action, Ground, SETTLED},
    harness::until,
    proxy::{Entry, Ledger},
};

use crate::{
    scene::Scene,
    support::{beside_others, condition, watch_for},
};

/// Less than what is known of a stranger's object is good for.
const WHILE: Duration = Duration::from_secs(12);

/// One of Kubernetes' own and one that is stored by its CRD. Nothing of later waves is tried while one is there, so each is in
/// a namespace of its own.
fn others() -> [(ApiResource, Value); 2] {
    let of =
        |group: &str, version: &str, kind: &str| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    [
        (
            of("", "v1", "Service"),
            json!({"metadata": {"name": "postgres"}, "spec": {"ports": [{"port": 81}], "selector": {"app": "theirs"}}}),
        ),
        (
            of("dapr.io", "v1alpha1", "Component"),
            json!({"metadata": {"name": "reminder-cron"}, "spec": {"type": "bindings.cron", "version": "v1", "metadata": []}}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_somebody_else_made_is_left_as_it_is() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let lives = others().map(|(resource, theirs)| {
        let (ground, kind) = (&ground, resource.kind.clone());
        async move { is_left(ground, &resource, theirs).await.with_context(|| format!("a {kind} of somebody else's")) }
    });
    try_join_all(lives).await.map(drop)
}

async fn is_left(ground: &Ground, resource: &ApiResource, mut theirs: Value) -> anyhow::Result<()> {
    let scene = Scene::on(ground).await?;
    theirs["apiVersion"] = json!(resource.api_version);
    theirs["kind"] = json!(resource.kind);
    let name = theirs["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let api: Api<DynamicObject> = Api::namespaced_with(scene.client.clone(), &scene.namespace, resource);
    api.patch(&name, &PatchParams::apply("somebody-else"), &Patch::Apply(theirs)).await?;
    let before = ground.snapshot(&scene.namespace).await?;
    Action::Create.perform(scene.client, &scene.namespace).await?;
    let refused = |ledger: &Ledger| {
        let of_theirs = |entry: &&Entry| entry.target.resource == resource.plural && entry.target.name == name;
        ledger.work().filter(of_theirs).filter(|entry| entry.done == Some(409)).count()
    };
    let told = format!("{}/{name} is not the operator's: somebody else made it", resource.kind);
    let after = until("the operator has tried it and tells so", SETTLED, || async {
        let now = ground.snapshot(&scene.namespace).await?;
        let said = now.get("TodoPlatform/todo").map(ToString::to_string).unwrap_or_default();
        Ok((refused(&scene.proxy.ledger()) > 0 && said.contains(&told)).then_some(now))
    })
    .await?;
    for key in before.keys() {
        anyhow::ensure!(before.get(key) == after.get(key), "{key} was changed: {:?}", after.get(key));
    }
    // Each of some five looks in that time would ask again.
    let ledger = watch_for(WHILE, &scene.proxy).await;
    let again = refused(&ledger);
    anyhow::ensure!(again <= 1, "{again} writes to what is somebody else's within {WHILE:?}:\n{ledger}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_somebody_else_made_is_left_as_it_is_and_holds_up_nothing() -> anyhow::Result<()> {
    const APP: &str = "frontend-service";
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let (budgets, deployments) = (scene.all::<PodDisruptionBudget>(), scene.all::<Deployment>());
    let theirs = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": APP},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": APP}}},
    });
    let before = budgets.patch(APP, &PatchParams::apply("somebody-else"), &Patch::Apply(theirs)).await?;

    scene.change_spec(&json!({"services": {"frontend": {"replicas": 2}}})).await?;
    until("the service is enlarged", SETTLED, || async {
        let replicas = deployments.get(APP).await?.spec.and_then(|spec| spec.replicas);
        Ok((replicas == Some(2)).then_some(()))
    })
    .await?;
    let degraded = until("it is told", SETTLED, || async {
        let degraded = condition(scene.client, &scene.namespace, "Degraded").await?;
        Ok(degraded.filter(|one| one.reason == "ForeignObject"))
    })
    .await?;
    anyhow::ensure!(degraded.message.contains(&format!("PodDisruptionBudget/{APP}")), "{}", degraded.message);
    let after = budgets.get(APP).await?;
    let managers: Vec<_> = after.managed_fields().iter().filter_map(|entry| entry.manager.as_deref()).collect();
    anyhow::ensure!(after.spec == before.spec && managers == ["somebody-else"], "it was changed by {managers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_that_somebody_else_made_is_left_as_it_is_and_holds_up_nothing() -> anyhow::Result<()> {
    const NAME: &str = "todo-platform-dashboard";
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let (config_maps, policies) = (scene.all::<ConfigMap>(), scene.all::<NetworkPolicy>());
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"theirs.json": "{}"},
    });
    let before = config_maps.patch(NAME, &PatchParams::apply("somebody-else"), &Patch::Apply(theirs)).await?;

    scene.change_spec(&json!({"monitoring": {"dashboard": {}}, "networkPolicy": {"enabled": false}})).await?;
    until("what nobody asks for any more is removed", SETTLED, || async {
        let left = policies.list(&ListParams::default()).await?.items.len();
        anyhow::ensure!(left == 0, "{left} are left");
        Ok(Some(()))
    })
    .await?;
    let degraded = until("it is told", SETTLED, || async {
        let degraded = condition(scene.client, &scene.namespace, "Degraded").await?;
        Ok(degraded.filter(|one| one.reason == "ForeignObject"))
    })
    .await?;
    anyhow::ensure!(degraded.message.contains(&format!("ConfigMap/{NAME}")), "{}", degraded.message);
    let services = condition(scene.client, &scene.namespace, "ServicesReady").await?;
    anyhow::ensure!(services.as_ref().is_some_and(|one| one.reason != "ForeignObject"), "{services:?}");
    let after = config_maps.get(NAME).await?;
    anyhow::ensure!(after.data == before.data && after.metadata.labels.is_none(), "it was changed: {after:?}");
    Ok(())
}
