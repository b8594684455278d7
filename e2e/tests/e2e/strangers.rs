//! Objects of a platform's names that somebody else made, and objects of a platform that nobody asks for any more.

use std::time::Duration;

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use todo_e2e::harness::{Namespace, Platform, until, wait};

/// By which the operator finds what is its own.
const LABELS: [(&str, &str); 2] =
    [("app.kubernetes.io/managed-by", "todo-operator"), ("todoplatform.dev/platform", "todo")];
/// A pass that found a stranger looks again by itself, and what it waits for may have to be made first.
const TOLD: Duration = Duration::from_secs(30);
const REMOVED: Duration = Duration::from_secs(20);

/// A spec that asks for every kind of object that the cluster has.
fn spec() -> Value {
    let autoscaled = json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 2}});
    json!({
        "services": {"backend": {"replicas": 2}, "notification": autoscaled},
        "ingress": {"host": "todo.example.com"},
        "deletionPolicy": "Delete",
    })
}

/// One object of a kind, in the fewest words that the API server takes.
struct Stranger {
    resource: ApiResource,
    name: &'static str,
    body: Value,
}

fn stranger(group_version: &str, kind: &str, name: &'static str, body: Value) -> Stranger {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Stranger { resource, name, body }
}

fn workload(kind: &str, name: &'static str, app: &str) -> Stranger {
    let container = json!({"name": "theirs", "image": "127.0.0.1:1/theirs:none"});
    let template = json!({"metadata": {"labels": {"theirs": app}}, "spec": {"containers": [container]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"theirs": app}}, "template": template});
    stranger("apps/v1", kind, name, json!({"spec": spec}))
}

fn service(name: &'static str) -> Stranger {
    stranger("v1", "Service", name, json!({"spec": {"ports": [{"port": 81}], "selector": {"app": "theirs"}}}))
}

/// Strangers in the order in which the operator comes to them: it makes nothing of what comes later before those of
/// one step are out of the way.
fn strangers() -> Vec<Vec<Stranger>> {
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}});
    let selector = json!({"matchLabels": {"app": "theirs"}});
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "theirs"});
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs"});
    let hosts = json!([{"host": "theirs.example.com"}]);
    let cron = json!({"type": "bindings.cron", "version": "v1", "metadata": []});
    let nothing = json!({"policies": {}, "targets": {}});
    vec![
        vec![
            stranger("v1", "ConfigMap", "kafka-config", json!({"data": {"a": "b"}})),
            stranger("v1", "PersistentVolumeClaim", "data-kafka-0", json!({"spec": claim})),
            stranger("v1", "ServiceAccount", "backend-service", json!({})),
            stranger("networking.k8s.io/v1", "NetworkPolicy", "postgres", json!({"spec": {"podSelector": selector}})),
            stranger("policy/v1", "PodDisruptionBudget", "backend-service", json!({"spec": {"selector": selector}})),
            stranger("rbac.authorization.k8s.io/v1", "Role", "backend-service", json!({"rules": []})),
        ],
        vec![stranger("rbac.authorization.k8s.io/v1", "RoleBinding", "backend-service", json!({"roleRef": role}))],
        vec![service("kafka"), workload("StatefulSet", "postgres", "theirs")],
        vec![
            stranger("dapr.io/v1alpha1", "Component", "reminder-cron", json!({"spec": cron})),
            stranger("dapr.io/v1alpha1", "Configuration", "todo-platform", json!({"spec": {}})),
            stranger("dapr.io/v1alpha1", "Resiliency", "todo-platform", json!({"spec": nothing})),
        ],
        vec![
            workload("Deployment", "backend-service", "theirs"),
            stranger(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                "notification-service",
                json!({"spec": {"maxReplicas": 2, "scaleTargetRef": target}}),
            ),
            stranger("networking.k8s.io/v1", "Ingress", "frontend-service", json!({"spec": {"rules": hosts}})),
        ],
    ]
}

impl Stranger {
    fn api(&self, namespace: &Namespace) -> Api<DynamicObject> {
        Api::namespaced_with(namespace.env.client.clone(), &namespace.name, &self.resource)
    }

    /// As the operator names it in its words.
    fn key(&self) -> String {
        format!("{}/{}", self.resource.kind, self.name)
    }

    /// Makes it under a name, with more metadata than that.
    async fn make(&self, namespace: &Namespace, name: &str, mut metadata: Value) -> anyhow::Result<()> {
        let mut body = self.body.clone();
        metadata["name"] = json!(name);
        body["apiVersion"] = json!(self.resource.api_version);
        body["kind"] = json!(self.resource.kind);
        body["metadata"] = metadata;
        self.api(namespace).patch(name, &PatchParams::apply("somebody-else"), &Patch::Apply(body)).await?;
        Ok(())
    }

    async fn is_untouched(&self, namespace: &Namespace) -> anyhow::Result<()> {
        let present = self.api(namespace).get(self.name).await?;
        let managers = present.managed_fields().iter().filter_map(|entry| entry.manager.as_deref());
        let operators: Vec<_> = managers.filter(|manager| manager.starts_with("todo-operator")).collect();
        anyhow::ensure!(operators.is_empty(), "the operator wrote to {}", self.key());
        anyhow::ensure!(present.owner_references().is_empty(), "somebody owns {}", self.key());
        Ok(())
    }
}

#[tokio::test]
async fn what_somebody_else_made_is_named_and_not_touched_and_what_another_release_made_is_removed() {
    Namespace::with("strangers", async |namespace| {
        let steps = strangers();
        for stranger in steps.iter().flatten() {
            stranger.make(&namespace, stranger.name, json!({})).await?;
        }
        let platform = Platform::apply(&namespace, "todo", spec()).await?;
        for (number, step) in steps.iter().enumerate() {
            // The services are made when Kafka and PostgreSQL are there.
            let limit = if number + 1 == steps.len() { Platform::READY } else { TOLD };
            let names: Vec<_> = step.iter().map(Stranger::key).collect();
            let what = format!("one of {names:?} is named");
            let told = until(&what, limit, async || {
                let degraded = platform.condition("Degraded").await?;
                Ok(degraded.filter(|one| names.iter().any(|name| one.message.contains(name))))
            });
            let told = told.await?;
            assert_eq!(told.reason, "ForeignObject", "{}", told.message);
            for stranger in step {
                stranger.is_untouched(&namespace).await?;
            }
            for stranger in step {
                stranger.api(&namespace).delete(stranger.name, &DeleteParams::background()).await?;
            }
        }
        platform.ready().await?;
        nobody_asks_for_them(&platform, &steps).await?;
        platform.ready().await?;
        Ok(())
    })
    .await;
}

/// Another release of the operator may have made objects that this one does not. They bear its label and belong to the
/// platform. Data of that kind stays.
async fn nobody_asks_for_them(platform: &Platform, steps: &[Vec<Stranger>]) -> anyhow::Result<()> {
    const NAME: &str = "of-another-release";
    let namespace = &platform.namespace;
    let uid = platform.get().await?.uid();
    let owner = json!({
        "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform", "name": platform.name, "uid": uid,
        "controller": true,
    });
    let labels: serde_json::Map<_, _> = LABELS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    for stranger in steps.iter().flatten() {
        stranger.make(namespace, NAME, json!({"labels": labels, "ownerReferences": [owner]})).await?;
    }
    let is_data = |stranger: &&Stranger| stranger.resource.kind == "PersistentVolumeClaim";
    for stranger in steps.iter().flatten().filter(|stranger| !is_data(stranger)) {
        until(&format!("{} {NAME} is removed", stranger.resource.kind), REMOVED, async || {
            Ok(stranger.api(namespace).get_opt(NAME).await?.is_none().then_some(()))
        })
        .await?;
    }
    wait::throughout("data stays", Duration::from_secs(10), async || {
        let data = steps.iter().flatten().find(is_data).expect("one of them is data");
        Ok(data.api(namespace).get(NAME).await?.metadata.deletion_timestamp.is_none())
    })
    .await
}
