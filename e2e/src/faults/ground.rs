//! What an operator is tried on.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use todo_crds::platform::TodoPlatform;

use super::{Kinds, Life, Player, Snapshot, Walk, actions::PLATFORM};
use crate::{control_plane::ControlPlane, harness::until, proxy::Proxy};

/// How long everything may take to be as it should.
pub const SETTLED: Duration = Duration::from_mins(2);
/// Longer than any pause between two writes of a platform that is being made.
const CALM: Duration = Duration::from_secs(6);

/// Names of the services.
pub const APPS: [&str; 4] = ["backend-service", "notification-service", "recurring-task-service", "frontend-service"];

/// A control plane and what is needed beside it. Fields are dropped in this order.
pub struct Ground {
    /// Speaks to it directly.
    pub client: Client,
    /// Kinds of objects that are compared.
    pub kinds: Kinds,
    /// None where nothing runs.
    _player: Option<Player>,
    /// The control plane.
    pub plane: ControlPlane,
    /// Files of operators.
    pub folder: TempDir,
    life: Life,
    /// Of the last life that [`Self::another_walk`] began.
    number: AtomicUsize,
}

impl Ground {
    /// Starts all of it.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_for(Life::Plain).await
    }

    /// Starts all of it, with the kinds that such lives need.
    pub async fn start_for(life: Life) -> anyhow::Result<Self> {
        Ok(Self::bare(life).await?.played())
    }

    /// Starts all of it, with an API server that asks these admission plugins, too.
    pub async fn start_with(admission: &'static [&'static str]) -> anyhow::Result<Self> {
        Ok(Self::on(ControlPlane::start_with(admission).await?, Life::Plain).await?.played())
    }

    fn played(self) -> Self {
        Self { _player: Some(Player::start(self.client.clone(), self.life)), ..self }
    }

    /// Starts a control plane alone, with the kinds that such lives need: no pod of a StatefulSet ever seems to run.
    pub async fn bare(life: Life) -> anyhow::Result<Self> {
        Self::on(ControlPlane::start().await?, life).await
    }

    async fn on(plane: ControlPlane, life: Life) -> anyhow::Result<Self> {
        for kinds in life.kinds() {
            plane.install_kinds(kinds).await?;
        }
        let client = plane.client();
        Ok(Self {
            kinds: Kinds::of(&client).await?,
            _player: None,
            client,
            plane,
            folder: tempfile::tempdir()?,
            life,
            number: AtomicUsize::new(0),
        })
    }

    /// The life of a platform in a new namespace. All names are equally long and none is a part of another.
    pub async fn walk(&self, number: usize) -> anyhow::Result<Walk<'_>> {
        let namespace = format!("walk-{number:04}");
        self.plane.namespace(&namespace).await?;
        let (client, kinds, folder) = (&self.client, &self.kinds, self.folder.path());
        Ok(Walk { client, kinds, folder, namespace, life: self.life })
    }

    /// The life of a platform in a namespace that has no number yet but 0.
    pub async fn another_walk(&self) -> anyhow::Result<Walk<'_>> {
        self.walk(self.number.fetch_add(1, Ordering::Relaxed) + 1).await
    }

    /// A way for an operator to the API server.
    pub async fn proxy(&self) -> anyhow::Result<Proxy> {
        Proxy::start(self.client.clone()).await
    }

    /// What there is now in a namespace.
    pub async fn snapshot(&self, namespace: &str) -> anyhow::Result<Snapshot> {
        Snapshot::take(&self.client, &self.kinds, namespace).await
    }

    /// Makes a platform of which nothing runs here, so that its status has little to say, by the way of `client`.
    pub async fn make_platform(client: &Client, namespace: &str) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let connection = json!({"connection-string": "postgres://todo:x@127.0.0.1:9/todo"});
        let secret = json!({"metadata": {"name": "postgres-connection"}, "stringData": connection});
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        let reference = json!({"secretKeyRef": {"name": "postgres-connection", "key": "connection-string"}});
        let spec = json!({
            "kafka": {"external": {"brokers": ["127.0.0.1:9"]}},
            "postgres": {"external": {"connectionString": reference}},
        });
        Self::make_platform_of(client, namespace, &spec).await
    }

    /// Makes a platform of this spec.
    pub async fn make_platform_of(client: &Client, namespace: &str, spec: &Value) -> anyhow::Result<()> {
        let platform = json!({
            "apiVersion": "todoplatform.dev/v1alpha1",
            "kind": "TodoPlatform",
            "metadata": {"name": PLATFORM},
            "spec": spec,
        });
        let platforms = Self::platforms(client, namespace);
        platforms.create(&PostParams::default(), &serde_json::from_value(platform)?).await?;
        Ok(())
    }

    /// The platforms of a namespace.
    pub fn platforms(client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<TodoPlatform>(&()))
    }

    /// Waits until the platform's last objects are there, the operator has said so and nothing is written any more.
    pub async fn created(&self, proxy: &Proxy, namespace: &str) -> anyhow::Result<Snapshot> {
        until(&format!("all of {namespace} is made"), SETTLED, || async {
            let now = self.snapshot(namespace).await?;
            Ok((is_made(&now) && proxy.ledger().quiet_for() > CALM).then_some(now))
        })
        .await
    }

    /// The same for a platform whose own broker does not run here: its services wait for that, and are not made.
    pub async fn created_but_services(&self, proxy: &Proxy, namespace: &str) -> anyhow::Result<()> {
        until(&format!("what waits for no broker is made in {namespace}"), SETTLED, || async {
            let is_made = self.snapshot(namespace).await?.get("StatefulSet/kafka").is_some();
            Ok((is_made && proxy.ledger().quiet_for() > CALM).then_some(()))
        })
        .await
    }
}

/// Whether all services are there and the status says what it is going to say. That the broker refuses it knows last, and on a
/// busy machine not before it has been quiet for a while.
pub(super) fn is_made(now: &Snapshot) -> bool {
    let conditions = now.get(&format!("TodoPlatform/{PLATFORM}")).and_then(|it| it["status"]["conditions"].as_array());
    let refuses = conditions.into_iter().flatten().any(|condition| condition["reason"] == "KafkaUnreachable");
    refuses && APPS.iter().all(|app| now.get(&format!("Deployment/{app}")).is_some())
}
