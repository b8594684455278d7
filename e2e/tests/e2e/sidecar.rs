//! A pod that starts while Dapr's injector does not look.

use std::time::Duration;

use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use todo_e2e::harness::{Namespace, Platform, until};

/// The service whose pod it is.
const APP: &str = "recurring-task-service";
const TOLD: Duration = Duration::from_mins(1);
const MENDED: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_pod_without_a_sidecar_is_named_and_replaced_as_soon_as_a_new_one_gets_one() {
    Namespace::with("sidecar", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let backends = uids(&namespace, "backend-service").await?;

        look_away(&namespace, true).await?;
        let result = async {
            let pods = namespace.api::<Pod>();
            until("the API server does not ask the injector", TOLD, async || {
                Ok((!is_injected(&pods).await?).then_some(()))
            })
            .await?;
            let [(name, _)] = &pods_of(&namespace, APP).await?[..] else { anyhow::bail!("{APP} has not one pod") };
            pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
            // Until the next pod is there, none is ready, and that is told first.
            let told = until("the missing sidecar is told", TOLD, async || {
                let told = platform.condition("ServicesReady").await?;
                Ok(told.filter(|told| told.status == "False" && told.reason == "SidecarMissing"))
            });
            // No panic here, which would leave the injector as it is.
            let told = told.await?;
            anyhow::ensure!(told.message.contains(APP) && told.message.contains("has no sidecar"), "{told:?}");
            platform.wait("Ready", "False", TOLD).await
        };
        let result = result.await;
        look_away(&namespace, false).await?;
        result?;

        platform.wait("Ready", "True", MENDED).await?;
        assert_eq!(uids(&namespace, "backend-service").await?, backends, "pods that have a sidecar are left alone");
        Ok(())
    })
    .await;
}

/// Keeps the injector from this namespace alone, or no longer: scenarios run beside each other.
async fn look_away(namespace: &Namespace, away: bool) -> anyhow::Result<()> {
    let selector = if away {
        let name = json!({"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [namespace.name]});
        json!({"matchExpressions": [name]})
    } else {
        json!({})
    };
    let patch: Value = json!([{"op": "replace", "path": "/webhooks/0/namespaceSelector", "value": selector}]);
    let webhooks: Api<MutatingWebhookConfiguration> = Api::all(namespace.env.client.clone());
    let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
    webhooks.patch("dapr-sidecar-injector", &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Whether a pod that is made now gets a sidecar.
async fn is_injected(pods: &Api<Pod>) -> anyhow::Result<bool> {
    let pod = json!({
        "metadata": {"generateName": "probe-", "annotations": {"dapr.io/enabled": "true", "dapr.io/app-id": "probe"}},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe",
                "image": "probe",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    });
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let made = pods.create(&dry_run, &serde_json::from_value(pod)?).await?;
    let containers = made.spec.map(|spec| [spec.containers, spec.init_containers.unwrap_or_default()].concat());
    Ok(containers.into_iter().flatten().any(|container| container.name == "daprd"))
}

/// Names and UIDs of the pods of an app.
async fn pods_of(namespace: &Namespace, app: &str) -> anyhow::Result<Vec<(String, String)>> {
    let list = namespace.api::<Pod>().list(&ListParams::default().labels(&format!("app={app}"))).await?;
    Ok(list.iter().map(|pod| (pod.name_any(), pod.uid().unwrap_or_default())).collect())
}

async fn uids(namespace: &Namespace, app: &str) -> anyhow::Result<Vec<String>> {
    Ok(pods_of(namespace, app).await?.into_iter().map(|(_, uid)| uid).collect())
}
