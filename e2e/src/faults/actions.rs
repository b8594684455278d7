//! What people do with a platform, one after the other.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use todo_crds::platform::TodoPlatform;

/// Name of the platform in each namespace.
pub(super) const PLATFORM: &str = "todo";
/// Who does it.
const PERSON: &str = "person";

/// A thing that a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Makes the platform, and the Secrets of a Kafka that is there.
    Create,
    /// Changes what all sidecars read, and takes the ingress away.
    Update,
    /// Wants more pods of a service.
    Scale,
    /// Changes a password.
    Rotate,
    /// Wants another version of the services.
    Upgrade,
    /// Deletes the platform.
    Delete,
}

impl Action {
    /// All, in the order of a platform's life.
    pub const ALL: [Self; 6] = [Self::Create, Self::Update, Self::Scale, Self::Rotate, Self::Upgrade, Self::Delete];

    /// Does it.
    pub async fn perform(self, client: &Client, namespace: &str) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let params = PatchParams::apply(PERSON).force();
        let secret = async |name: &str, key: &str, value: &str| {
            let body = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value},
            });
            secrets.patch(name, &params, &Patch::Apply(body)).await
        };
        match self {
            Self::Create => {
                secret("kafka-username", "username", "todo").await?;
                secret("kafka-password", "password", "one").await?;
            }
            Self::Rotate => {
                secret("kafka-password", "password", "another").await?;
                return Ok(());
            }
            Self::Delete => {
                platforms(client, namespace).delete(PLATFORM, &DeleteParams::background()).await?;
                return Ok(());
            }
            Self::Update | Self::Scale | Self::Upgrade => {}
        }
        let platform = json!({
            "apiVersion": "todoplatform.dev/v1alpha1",
            "kind": "TodoPlatform",
            "metadata": {"name": PLATFORM},
            "spec": self.spec(),
        });
        let params = PatchParams { field_validation: Some(kube::api::ValidationDirective::Strict), ..params.clone() };
        platforms(client, namespace).patch(PLATFORM, &params, &Patch::Apply(platform)).await?;
        Ok(())
    }

    /// The spec after it. Kinds of objects as many as possible come of it.
    fn spec(self) -> Value {
        let reference = |name: &str, key: &str| json!({"secretKeyRef": {"name": name, "key": key}});
        let mut spec = json!({
            "version": "0.1.0",
            "deletionPolicy": "Delete",
            // Nobody listens there.
            "kafka": {"external": {
                "brokers": ["127.0.0.1:9"],
                "auth": {"scram": {
                    "mechanism": "SCRAM-SHA-256",
                    "username": reference("kafka-username", "username"),
                    "password": reference("kafka-password", "password"),
                }},
            }},
            "services": {
                "backend": {"autoscaling": {"minReplicas": 2, "maxReplicas": 4}},
                "notification": {"replicas": 1},
            },
            "ingress": {"host": "todo.example.com"},
        });
        if self >= Self::Update {
            spec["dapr"] = json!({"tracing": {"endpoint": "http://collector.example:4317", "samplingRate": "0.5"}});
            spec.as_object_mut().map(|spec| spec.remove("ingress"));
        }
        if self >= Self::Scale {
            spec["services"]["notification"]["replicas"] = json!(2);
        }
        if self >= Self::Upgrade {
            spec["version"] = json!("0.2.0");
        }
        spec
    }
}

/// Platforms of a namespace.
pub(super) fn platforms(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<TodoPlatform>(&()))
}

/// Something for each action.
pub(super) type ByAction<T> = BTreeMap<Action, T>;
