//! What becomes of data.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Event, PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    rbac::v1::Role,
};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::json;
use todo_crds::dapr::{Component, Configuration, Resiliency};
use todo_e2e::harness::{Namespace, Platform, until};

use crate::shared::{add_task, tasks};

const LABEL: &str = "todoplatform.dev/platform=todo";

async fn names<K>(namespace: &Namespace) -> anyhow::Result<BTreeSet<String>>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = namespace.api();
    let list = api.list(&ListParams::default().labels(LABEL)).await?;
    Ok(list.iter().map(|object| format!("{}/{}", K::kind(&()), object.name_any())).collect())
}

async fn left(namespace: &Namespace) -> anyhow::Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    all.extend(names::<Deployment>(namespace).await?);
    all.extend(names::<StatefulSet>(namespace).await?);
    all.extend(names::<Service>(namespace).await?);
    all.extend(names::<ServiceAccount>(namespace).await?);
    all.extend(names::<Role>(namespace).await?);
    all.extend(names::<ConfigMap>(namespace).await?);
    all.extend(names::<Secret>(namespace).await?);
    all.extend(names::<PersistentVolumeClaim>(namespace).await?);
    all.extend(names::<NetworkPolicy>(namespace).await?);
    all.extend(names::<Component>(namespace).await?);
    all.extend(names::<Configuration>(namespace).await?);
    all.extend(names::<Resiliency>(namespace).await?);
    Ok(all)
}

async fn only_is_left(namespace: &Namespace, expected: &[&str]) -> anyhow::Result<()> {
    let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
    let what = format!("only {expected:?} is left");
    until(&what, Duration::from_mins(2), async || {
        let left = left(namespace).await?;
        anyhow::ensure!(left == expected, "left: {left:?}");
        Ok(Some(()))
    })
    .await
}

/// What was told of data that an earlier platform left.
async fn taken_over(namespace: &Namespace) -> anyhow::Result<BTreeSet<String>> {
    let events = namespace.api::<Event>().list(&ListParams::default()).await?;
    let told = events.into_iter().filter(|event| event.reason.as_deref() == Some("DataTakenOver"));
    Ok(told.filter_map(|event| event.message).collect())
}

#[tokio::test]
async fn deleting_a_platform_leaves_its_data_alone_and_applying_it_again_finds_the_tasks() {
    Namespace::with("retain", async |namespace| {
        let spec = json!({"services": {"backend": {"replicas": 1}}});
        let platform = Platform::apply(&namespace, "todo", spec.clone()).await?;
        platform.ready().await?;
        add_task(&platform.page().await?, json!({"user_id": "ada", "title": "survive"})).await?;
        assert_eq!(taken_over(&namespace).await?, BTreeSet::new(), "there was nothing before this platform");

        platform.delete().await?;
        let data = [
            "PersistentVolumeClaim/data-kafka-0",
            "PersistentVolumeClaim/data-postgres-0",
            "Secret/kafka-password",
            "Secret/kafka-username",
            "Secret/postgres-connection",
        ];
        only_is_left(&namespace, &data).await?;

        let platform = Platform::apply(&namespace, "todo", spec).await?;
        platform.ready().await?;
        let found = tasks(&platform.page().await?, "ada").await?;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["title"], "survive");
        let told = format!("an earlier TodoPlatform todo left {}; they are used again", data.join(", "));
        assert_eq!(taken_over(&namespace).await?, BTreeSet::from([told]));

        // A change of mind about the data takes effect on what is there.
        let spec = json!({"services": {"backend": {"replicas": 1}}, "deletionPolicy": "Delete"});
        let platform = Platform::apply(&namespace, "todo", spec).await?;
        platform.ready().await?;
        platform.delete().await?;
        only_is_left(&namespace, &[]).await
    })
    .await;
}
