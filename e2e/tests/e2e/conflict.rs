//! A namespace is for one platform.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{ResourceExt, api::ListParams};
use serde_json::json;
use todo_e2e::harness::{Platform, wait};

use crate::shared;

#[tokio::test]
async fn a_second_platform_in_the_namespace_is_refused_and_the_first_is_untouched() {
    shared::with("conflict", async |first, _| {
        // Of what the pods are: other scenarios change other things of the shared platform.
        let templates = async || {
            let list = first.namespace.api::<Deployment>().list(&ListParams::default()).await?;
            let template = |one: Deployment| (one.uid(), one.spec.map(|spec| spec.template));
            Ok::<_, anyhow::Error>(list.into_iter().map(template).collect::<Vec<_>>())
        };
        let before = templates().await?;
        let second = Platform::apply(&first.namespace, "second", json!({"kafka": {"consumerGroup": "x"}})).await?;
        let refused = second.wait("Ready", "False", Duration::from_secs(20)).await?;
        assert_eq!(refused.reason, "Conflict", "{}", refused.message);
        assert!(refused.message.contains(&first.name), "{}", refused.message);
        let untouched = async || {
            let conditions = first.get().await?.status.unwrap_or_default().conditions;
            let is_told = conditions.iter().any(|one| one.reason == "Conflict" || one.message.contains("second"));
            Ok(!is_told && templates().await? == before)
        };
        wait::throughout("the first platform is untouched", Duration::from_secs(10), untouched).await?;
        first.ready().await?;
        second.delete().await
    })
    .await;
}
