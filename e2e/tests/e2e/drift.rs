//! What somebody changes by hand comes back.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service},
    networking::v1::NetworkPolicy,
    rbac::v1::RoleBinding,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use todo_crds::dapr::Component;
use todo_e2e::harness::until;

use crate::shared;

const SOON: Duration = Duration::from_secs(10);

async fn comes_back<K>(api: Api<K>, name: &str) -> anyhow::Result<()>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let before = api.get(name).await?.uid();
    api.delete(name, &DeleteParams::default()).await?;
    until(&format!("{name} is there again"), SOON, async || {
        Ok(api.get_opt(name).await?.filter(|now| now.uid() != before).map(drop))
    })
    .await
}

async fn is_put_right<K>(api: Api<K>, name: &str, patch: Value, pointer: &str) -> anyhow::Result<()>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let at = |object: &K| serde_json::to_value(object).ok().and_then(|value| value.pointer(pointer).cloned());
    let before = at(&api.get(name).await?);
    // A person with kubectl, who does not know of field managers.
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    until(&format!("{name} is as it was"), SOON, async || Ok((at(&api.get(name).await?) == before).then_some(()))).await
}

#[tokio::test]
async fn a_child_that_is_deleted_or_edited_comes_back_within_seconds() {
    shared::with("drift", async |platform, _| {
        let namespace = &platform.namespace;
        comes_back(namespace.api::<Service>(), "backend-service").await?;
        comes_back(namespace.api::<NetworkPolicy>(), "recurring-task-service").await?;
        comes_back(namespace.api::<ConfigMap>(), "postgres-config").await?;

        let patch = json!({"spec": {"revisionHistoryLimit": 1}});
        let pointer = "/spec/revisionHistoryLimit";
        is_put_right(namespace.api::<Deployment>(), "notification-service", patch, pointer).await?;
        let patch = json!({"spec": {"ports": [{"name": "http", "port": 81, "targetPort": 8080}]}});
        is_put_right(namespace.api::<Service>(), "frontend-service", patch, "/spec/ports/0/port").await?;
        // What is added to a selector, to rules or to subjects changes what they mean.
        let patch = json!({"spec": {"selector": {"added": "by-hand"}}});
        is_put_right(namespace.api::<Service>(), "frontend-service", patch, "/spec/selector").await?;
        let patch = json!({"spec": {"podSelector": {"matchLabels": {"added": "by-hand"}}}});
        is_put_right(namespace.api::<NetworkPolicy>(), "backend-service", patch, "/spec/podSelector").await?;
        let patch = json!({"spec": {"egress": [{}]}});
        is_put_right(namespace.api::<NetworkPolicy>(), "postgres", patch, "/spec/egress").await?;
        let account = |name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": namespace.name});
        let patch = json!({"subjects": [account("backend-service"), account("default")]});
        is_put_right(namespace.api::<RoleBinding>(), "backend-service", patch, "/subjects").await?;
        let patch = json!({"scopes": ["frontend-service"]});
        is_put_right(namespace.api::<Component>(), "statestore", patch, "/scopes").await?;
        let patch = json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "something-else"}}});
        let pointer = "/metadata/labels/app.kubernetes.io~1part-of";
        is_put_right(namespace.api::<Deployment>(), "frontend-service", patch, pointer).await?;

        platform.ready().await?;
        Ok(())
    })
    .await;
}
