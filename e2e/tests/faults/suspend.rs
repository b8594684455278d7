//! A platform that is looked at and not touched.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
    core::ObjectMeta,
};
use serde_json::json;
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{Ground, Operator, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::support::{beside_others, change_spec};

/// Waits until the operator has said this of the spec that the platform has now.
async fn degraded(client: &Client, namespace: &str, reason: &str) -> anyhow::Result<()> {
    let platforms: Api<TodoPlatform> = Api::namespaced(client.clone(), namespace);
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
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let services = Target { verb: "patch", resource: "services".to_owned(), ..Target::default() };
    proxy.set(vec![Rule::always(services, Fault::Refuse(403))]);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    Ground::make_platform(client, namespace).await?;
    degraded(client, namespace, "Forbidden").await?;
    change_spec(client, namespace, &json!({"suspend": true})).await?;
    degraded(client, namespace, "AsExpected").await?;
    change_spec(client, namespace, &json!({"suspend": null})).await?;
    degraded(client, namespace, "Forbidden").await?;
    proxy.set(Vec::new());
    degraded(client, namespace, "AsExpected").await?;
    ground.created(&proxy, namespace).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_alone_shows_is_told_although_nobody_tries_to_write_it() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    Ground::make_platform(client, namespace).await?;
    ground.created(&proxy, namespace).await?;
    let of_another = json!({"metadata": {"ownerReferences": null, "labels": {"todoplatform.dev/platform": "another"}}});
    services.patch("frontend-service", &PatchParams::default(), &Patch::Merge(of_another)).await?;
    degraded(client, namespace, "ForeignObject").await?;
    change_spec(client, namespace, &json!({"suspend": true})).await?;
    degraded(client, namespace, "ForeignObject").await?;
    services.delete("frontend-service", &DeleteParams::default()).await?;
    degraded(client, namespace, "AsExpected").await?;
    change_spec(client, namespace, &json!({"suspend": null})).await?;
    until("it is made again", SETTLED, || async { Ok(services.get_opt("frontend-service").await?.map(drop)) }).await
}

/// Whether the data of a platform with its own Kafka goes with it.
async fn goes(client: &Client, namespace: &str) -> anyhow::Result<[bool; 2]> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let is_owned = |metadata: ObjectMeta| metadata.owner_references.is_some_and(|owners| !owners.is_empty());
    let (claim, secret) = (claims.get("data-kafka-0").await?, secrets.get("kafka-password").await?);
    Ok([is_owned(claim.metadata), is_owned(secret.metadata)])
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_a_suspended_platform_would_still_take_with_it_is_told() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    Ground::make_platform_of(client, namespace, &json!({"deletionPolicy": "Delete"})).await?;
    ground.created_but_services(&proxy, namespace).await?;
    anyhow::ensure!(goes(client, namespace).await? == [true; 2], "it stays");
    change_spec(client, namespace, &json!({"suspend": true, "deletionPolicy": "Retain"})).await?;
    degraded(client, namespace, "DeletionPolicyNotApplied").await?;
    anyhow::ensure!(goes(client, namespace).await? == [true; 2], "it was written while it was suspended");
    change_spec(client, namespace, &json!({"suspend": null})).await?;
    degraded(client, namespace, "AsExpected").await?;
    anyhow::ensure!(goes(client, namespace).await? == [false; 2], "it still goes");
    change_spec(client, namespace, &json!({"suspend": true})).await?;
    degraded(client, namespace, "AsExpected").await
}
