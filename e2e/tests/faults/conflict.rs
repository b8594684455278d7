//! Somebody who takes a field from the operator again and again.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{Ground, Operator, SETTLED},
    harness::until,
};

use crate::support::{beside_others, told, watch_for};

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

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_field_three_times_is_named_with_it_and_the_object_is_left_alone() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    Ground::make_platform(client, namespace).await?;
    ground.created(&proxy, namespace).await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let ours = replicas(&deployments).await?;

    for theirs in [7, 8] {
        take(&deployments, theirs).await?;
        until("it is taken back", SETTLED, || async { Ok((replicas(&deployments).await? == ours).then_some(())) })
            .await?;
    }
    take(&deployments, 9).await?;
    let note = told(client, namespace, "OwnershipFight").await?;
    let expected = format!("x takes .spec.replicas of Deployment/{APP} again and again");
    anyhow::ensure!(note.contains(&expected), "{note}");
    let note = told(client, namespace, "OwnershipConflict").await?;
    anyhow::ensure!(note == format!("x claimed .spec.replicas of Deployment/{APP}"), "{note}");

    let platforms: Api<TodoPlatform> = Api::namespaced(client.clone(), namespace);
    let status = platforms.get("todo").await?.status.unwrap_or_default();
    let named: Vec<_> = status.ownership_conflicts.iter().map(|one| [&one.object, &one.field, &one.manager]).collect();
    anyhow::ensure!(named == [["Deployment/frontend-service", ".spec.replicas", "x"]], "{named:?}");

    let truce = watch_for(TRUCE, &proxy).await;
    let writes: Vec<_> = truce.work().map(|entry| entry.target.to_string()).collect();
    anyhow::ensure!(writes.is_empty(), "written while it was to be left alone: {writes:?}");
    anyhow::ensure!(replicas(&deployments).await? == Some(9), "it was taken back all the same");
    Ok(())
}
