//! Removing all of it. In whatever order that is done, it ends, and nothing stays but the data that is meant to.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use serde_json::json;
use todo_e2e::{
    faults::{Ground, Kinds, Operator, SETTLED, Snapshot},
    harness::until,
    proxy::Proxy,
};

use crate::support::{DAPR, OURS, beside_others, remove, watch_for};

/// What is deleted alone, with its namespace, and with its definition.
const NAMESPACES: [&str; 3] = ["removed-alone", "removed-with-namespace", "removed-with-definition"];
/// What stays of each platform until its namespace goes: embedded data is kept unless the spec says otherwise.
const DATA: [&str; 2] = ["PersistentVolumeClaim/data-postgres-0", "Secret/postgres-connection"];
/// How long it is watched that nothing comes back.
const AFTERWARDS: Duration = Duration::from_secs(8);

/// A control plane with a platform in each of the namespaces, and the operator that made them.
struct Scene {
    operator: Operator,
    proxy: Proxy,
    ground: Ground,
}

impl Scene {
    async fn start() -> anyhow::Result<Self> {
        let ground = Ground::start().await?;
        let mut proxy = ground.proxy().await?;
        let operator = Operator::start(&mut proxy, ground.folder.path(), None, "operator")?;
        // Nobody listens there. The services are made all the same.
        let spec = json!({"kafka": {"external": {"brokers": ["127.0.0.1:9"]}}, "postgres": {"embedded": {}}});
        for namespace in NAMESPACES {
            ground.plane.namespace(namespace).await?;
            Ground::make_platform_of(&ground.client, namespace, &spec).await?;
        }
        for namespace in NAMESPACES {
            let made = ground.created(&proxy, namespace).await?;
            for key in DATA {
                anyhow::ensure!(made.get(key).is_some(), "no {key} in {:?}", made.keys().collect::<Vec<_>>());
            }
        }
        Ok(Self { operator, proxy, ground })
    }

    /// Removes the platforms, each in its way, and the namespaces.
    async fn remove_all(&self, how: &DeleteParams) -> anyhow::Result<()> {
        let [alone, with_namespace, with_definition] = NAMESPACES;
        Ground::platforms(&self.ground.client, alone).delete("todo", how).await?;
        self.only_data_is_left(alone).await?;
        self.namespace_goes(with_namespace).await?;
        remove(&self.ground.client, OURS).await?;
        self.only_data_is_left(with_definition).await?;
        for namespace in [alone, with_definition] {
            self.namespace_goes(namespace).await?;
        }
        Ok(())
    }

    async fn only_data_is_left(&self, namespace: &str) -> anyhow::Result<()> {
        until(&format!("only data is left in {namespace}"), SETTLED, || async {
            // Those whose definition is gone are no longer listed.
            let kinds = Kinds::of(&self.ground.client).await?;
            let left = Snapshot::take(&self.ground.client, &kinds, namespace).await?;
            anyhow::ensure!(left.keys().eq(DATA), "left: {:?}", left.keys().collect::<Vec<_>>());
            Ok(Some(()))
        })
        .await
    }

    async fn namespace_goes(&self, name: &str) -> anyhow::Result<()> {
        let namespaces = Api::<Namespace>::all(self.ground.client.clone());
        namespaces.delete(name, &DeleteParams::default()).await?;
        until(&format!("namespace {name} is gone"), SETTLED, || async {
            let left = namespaces.get_opt(name).await?;
            anyhow::ensure!(left.is_none(), "{:?}", left.and_then(|namespace| namespace.status));
            Ok(Some(()))
        })
        .await
    }

    /// The operator, which is still there, leaves it at that, and can be stopped.
    async fn is_left_alone(&self) -> anyhow::Result<()> {
        let ledger = watch_for(AFTERWARDS, &self.proxy).await;
        anyhow::ensure!(ledger.work().next().is_none(), "it writes still:\n{ledger}");
        let restarts = self.operator.restarts();
        anyhow::ensure!(restarts == 0, "started anew {restarts} times:\n{}", self.operator.last_words(10));
        self.operator.stop().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_namespaces_and_the_definition_go_while_the_operator_runs() -> anyhow::Result<()> {
    let (_processors, scene) = (beside_others().await, Scene::start().await?);
    // Waits for what the platform owns to go before it goes itself.
    scene.remove_all(&DeleteParams::foreground()).await?;
    scene.is_left_alone().await
}

#[tokio::test(flavor = "multi_thread")]
async fn so_they_do_after_the_operator_has_gone() -> anyhow::Result<()> {
    let (_processors, scene) = (beside_others().await, Scene::start().await?);
    scene.operator.kill().await?;
    scene.remove_all(&DeleteParams::foreground()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn so_they_do_after_dapr_has_gone() -> anyhow::Result<()> {
    let (_processors, scene) = (beside_others().await, Scene::start().await?);
    for definition in DAPR {
        remove(&scene.ground.client, definition).await?;
    }
    scene.remove_all(&DeleteParams::background()).await?;
    scene.is_left_alone().await
}
