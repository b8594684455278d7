//! What somebody else made.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, policy::v1::PodDisruptionBudget};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use todo_e2e::{
    faults::{Action, Ground, Operator, SETTLED},
    harness::until,
};

use crate::support::{beside_others, change_spec, condition, watch_for};

/// Less than what is known of a stranger's object is good for.
const WHILE: Duration = Duration::from_secs(12);

/// Of each, one of Kubernetes' own and one that is stored by its CRD.
fn others() -> [(ApiResource, Value); 2] {
    let of =
        |group: &str, version: &str, kind: &str| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    [
        (
            of("", "v1", "Service"),
            json!({"metadata": {"name": "frontend-service"}, "spec": {"ports": [{"port": 81}], "selector": {"app": "theirs"}}}),
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
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    let params = PatchParams::apply("somebody-else");
    for (resource, mut theirs) in others() {
        theirs["apiVersion"] = json!(resource.api_version);
        theirs["kind"] = json!(resource.kind);
        let api: Api<DynamicObject> = Api::namespaced_with(ground.client.clone(), &walk.namespace, &resource);
        let name = theirs["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        api.patch(&name, &params, &Patch::Apply(theirs)).await?;
    }
    let before = ground.snapshot(&walk.namespace).await?;
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    Action::Create.perform(&ground.client, &walk.namespace).await?;
    let after = until("the operator has tried both", SETTLED, || async {
        let tried = |resource: &str| {
            proxy.ledger().work().any(|entry| entry.target.resource == resource && entry.done == Some(409))
        };
        let both = tried("components") || tried("services");
        let now = ground.snapshot(&walk.namespace).await?;
        let said = now.get("TodoPlatform/todo").map(ToString::to_string).unwrap_or_default();
        Ok((both && said.contains("somebody else made it")).then_some(now))
    })
    .await?;
    for key in before.keys() {
        anyhow::ensure!(before.get(key) == after.get(key), "{key} was changed: {:?}", after.get(key));
    }
    // Each of some five looks in that time would ask again.
    let ledger = watch_for(WHILE, &proxy).await;
    let again = ledger.work().filter(|entry| entry.done == Some(409)).count();
    anyhow::ensure!(again <= 2, "{again} writes to what is somebody else's within {WHILE:?}:\n{ledger}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_somebody_else_made_is_left_as_it_is_and_holds_up_nothing() -> anyhow::Result<()> {
    const APP: &str = "frontend-service";
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    Ground::make_platform(client, namespace).await?;
    ground.created(&proxy, namespace).await?;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), namespace);
    let theirs = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": APP},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": APP}}},
    });
    let before = budgets.patch(APP, &PatchParams::apply("somebody-else"), &Patch::Apply(theirs)).await?;

    change_spec(client, namespace, &json!({"services": {"frontend": {"replicas": 2}}})).await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    until("the service is enlarged", SETTLED, || async {
        let replicas = deployments.get(APP).await?.spec.and_then(|spec| spec.replicas);
        Ok((replicas == Some(2)).then_some(()))
    })
    .await?;
    let degraded = until("it is told", SETTLED, || async {
        let degraded = condition(client, namespace, "Degraded").await?;
        Ok(degraded.filter(|one| one.reason == "ForeignObject"))
    })
    .await?;
    anyhow::ensure!(degraded.message.contains(&format!("PodDisruptionBudget/{APP}")), "{}", degraded.message);
    let after = budgets.get(APP).await?;
    let managers: Vec<_> = after.managed_fields().iter().filter_map(|entry| entry.manager.as_deref()).collect();
    anyhow::ensure!(after.spec == before.spec && managers == ["somebody-else"], "it was changed by {managers:?}");
    Ok(())
}
