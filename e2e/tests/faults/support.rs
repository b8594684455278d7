//! What the tests share.

use std::time::{Duration, Instant};

use kube::Client;
use tempfile::TempDir;
use todo_e2e::{
    control_plane::ControlPlane,
    faults::{Kinds, Player, Snapshot, Walk},
    harness::until,
    proxy::{Ledger, Proxy},
};

/// How long everything may take to be as it should.
pub(crate) const SETTLED: Duration = Duration::from_mins(2);

/// A control plane and what is needed beside it. Fields are dropped in this order.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) kinds: Kinds,
    _player: Player,
    pub(crate) plane: ControlPlane,
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let plane = ControlPlane::start().await?;
        let client = plane.client();
        Ok(Self {
            kinds: Kinds::of(&client).await?,
            _player: Player::start(client.clone()),
            client,
            plane,
            folder: tempfile::tempdir()?,
        })
    }

    /// The life of a platform in a new namespace. All names are equally long and none is a part of another.
    pub(crate) async fn walk(&self, number: usize) -> anyhow::Result<Walk<'_>> {
        let namespace = format!("walk-{number:04}");
        self.plane.namespace(&namespace).await?;
        Ok(Walk { client: &self.client, kinds: &self.kinds, folder: self.folder.path(), namespace })
    }

    pub(crate) async fn proxy(&self) -> anyhow::Result<Proxy> {
        Proxy::start(self.client.clone()).await
    }

    pub(crate) async fn snapshot(&self, namespace: &str) -> anyhow::Result<Snapshot> {
        Snapshot::take(&self.client, &self.kinds, namespace).await
    }

    /// Waits until the platform's last objects are there and nothing is written any more.
    pub(crate) async fn created(&self, proxy: &Proxy, namespace: &str) -> anyhow::Result<Snapshot> {
        until(&format!("all of {namespace} is made"), SETTLED, || async {
            let now = self.snapshot(namespace).await?;
            let all = APPS.iter().all(|app| now.get(&format!("Deployment/{app}")).is_some());
            Ok((all && proxy.ledger().quiet_for() > Duration::from_secs(6)).then_some(now))
        })
        .await
    }
}

/// Names of the services.
pub(crate) const APPS: [&str; 4] =
    ["backend-service", "notification-service", "recurring-task-service", "frontend-service"];

/// What was asked within `time` from now on.
pub(crate) async fn watch_for(time: Duration, proxy: &Proxy) -> Ledger {
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    proxy.ledger().since(begun)
}
