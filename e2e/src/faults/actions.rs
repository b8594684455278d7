//! What people do with a platform, one after the other.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Secret, Service};
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
/// What is edited by hand.
const EDITED: &str = "frontend-service";

/// What a platform is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// As many of Kubernetes' own kinds as possible, with a Kafka that is there.
    #[default]
    Plain,
    /// As many kinds of others as possible, whose operators are not here.
    Managed,
}

impl Life {
    /// Folders of kinds that others define.
    pub(super) const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Managed => &["strimzi", "cloud-native-pg", "prometheus-operator", "gateway-api"],
        }
    }

    /// Secrets that are there before it, with a key of each and its value: a broker's that is there, or those that the other
    /// operators make.
    const fn secrets(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Plain => &[("kafka-username", "username", "todo"), ("kafka-password", "password", "one")],
            Self::Managed => &[
                ("kafka-client", "password", "one"),
                ("kafka-cluster-ca-cert", "ca.crt", "certificate"),
                ("postgres-app", "uri", "postgresql://todo:one@postgres-rw:5432/todo"),
            ],
        }
    }

    /// The Secret with the password of the broker.
    const fn password(self) -> &'static str {
        match self {
            Self::Plain => "kafka-password",
            Self::Managed => "kafka-client",
        }
    }
}

/// A thing that a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Makes the platform, and the Secrets that it is not to make itself.
    Create,
    /// Changes what all sidecars read, and takes the ingress away.
    Update,
    /// Wants more pods of a service, and leaves those of another to an autoscaler; of others, more of a database and fewer brokers.
    Scale,
    /// Changes a password, and a Service by hand so that an apply alone cannot put it right.
    Rotate,
    /// Wants another version of the services, and the autoscaler away; with others, what the first change took away.
    Upgrade,
    /// Deletes the platform.
    Delete,
}

impl Action {
    /// All, in the order of a platform's life.
    pub const ALL: [Self; 6] = [Self::Create, Self::Update, Self::Scale, Self::Rotate, Self::Upgrade, Self::Delete];

    /// Does it in a plain life.
    pub async fn perform(self, client: &Client, namespace: &str) -> anyhow::Result<()> {
        self.perform_in(Life::Plain, client, namespace).await
    }

    /// Does it.
    pub async fn perform_in(self, life: Life, client: &Client, namespace: &str) -> anyhow::Result<()> {
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
                for (name, key, value) in life.secrets() {
                    secret(name, key, value).await?;
                }
            }
            Self::Rotate => {
                secret(life.password(), "password", "another").await?;
                let services: Api<Service> = Api::namespaced(client.clone(), namespace);
                let edited = json!({"spec": {"ports": [{"name": "http", "port": 81, "targetPort": "http"}]}});
                let params = PatchParams { field_manager: Some(PERSON.to_owned()), ..PatchParams::default() };
                services.patch(EDITED, &params, &Patch::Merge(edited)).await?;
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
            "spec": match life {
                Life::Plain => self.spec(),
                Life::Managed => self.managed(),
            },
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
                "recurringTask": {"replicas": 1},
            },
            "ingress": {"host": "todo.example.com"},
        });
        if self >= Self::Update {
            spec["dapr"] = json!({"tracing": {"endpoint": "http://collector.example:4317", "samplingRate": "0.5"}});
            spec.as_object_mut().map(|spec| spec.remove("ingress"));
        }
        if self >= Self::Scale {
            spec["services"]["notification"] = json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 3}});
            spec["services"]["recurringTask"]["replicas"] = json!(2);
        }
        if self >= Self::Upgrade {
            spec["version"] = json!("0.2.0");
            spec["services"]["notification"] = json!({"replicas": 2});
        }
        spec
    }

    /// The spec after it, if others run Kafka and PostgreSQL.
    fn managed(self) -> Value {
        let mut spec = json!({
            "version": "0.1.0",
            "deletionPolicy": "Delete",
            "kafka": {"strimzi": {"replicas": 1}},
            "postgres": {"cloudNativePg": {"instances": 1}},
            "monitoring": {"serviceMonitor": {}, "prometheusRule": {}},
            "ingress": {"host": "todo.example.com", "gateway": {"name": "main"}},
        });
        if self >= Self::Update {
            spec["kafka"]["strimzi"]["replicas"] = json!(2);
            spec["postgres"]["cloudNativePg"]["instances"] = json!(2);
            // An Ingress takes the place of the route.
            spec["ingress"] = json!({"host": "todo.example.com"});
            spec.as_object_mut().map(|spec| spec.remove("monitoring"));
        }
        if self >= Self::Scale {
            spec["kafka"]["strimzi"]["replicas"] = json!(1);
            spec["postgres"]["cloudNativePg"]["instances"] = json!(3);
            spec["services"] = json!({"notification": {"replicas": 2}});
        }
        if self >= Self::Upgrade {
            let before = Self::Create.managed();
            (spec["ingress"], spec["monitoring"]) = (before["ingress"].clone(), before["monitoring"].clone());
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
