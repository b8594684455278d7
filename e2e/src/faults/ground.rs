//! What an operator is tried on.

use std::time::Duration;

use kube::Client;
use tempfile::TempDir;

use super::{Kinds, Player, Snapshot, Walk};
use crate::{control_plane::ControlPlane, harness::until, proxy::Proxy};

/// How long everything may take to be as it should.
pub const SETTLED: Duration = Duration::from_mins(2);

/// Names of the services.
pub const APPS: [&str; 4] = ["backend-service", "notification-service", "recurring-task-service", "frontend-service"];

/// A control plane and what is needed beside it. Fields are dropped in this order.
pub struct Ground {
    /// Speaks to it directly.
    pub client: Client,
    /// Kinds of objects that are compared.
    pub kinds: Kinds,
    _player: Player,
    /// The control plane.
    pub plane: ControlPlane,
    /// Files of operators.
    pub folder: TempDir,
}

impl Ground {
    /// Starts all of it.
    pub async fn start() -> anyhow::Result<Self> {
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
    pub async fn walk(&self, number: usize) -> anyhow::Result<Walk<'_>> {
        let namespace = format!("walk-{number:04}");
        self.plane.namespace(&namespace).await?;
        Ok(Walk { client: &self.client, kinds: &self.kinds, folder: self.folder.path(), namespace })
    }

    /// A way for an operator to the API server.
    pub async fn proxy(&self) -> anyhow::Result<Proxy> {
        Proxy::start(self.client.clone()).await
    }

    /// What there is now in a namespace.
    pub async fn snapshot(&self, namespace: &str) -> anyhow::Result<Snapshot> {
        Snapshot::take(&self.client, &self.kinds, namespace).await
    }

    /// Waits until the platform's last objects are there and nothing is written any more.
    pub async fn created(&self, proxy: &Proxy, namespace: &str) -> anyhow::Result<Snapshot> {
        until(&format!("all of {namespace} is made"), SETTLED, || async {
            let now = self.snapshot(namespace).await?;
            let all = APPS.iter().all(|app| now.get(&format!("Deployment/{app}")).is_some());
            Ok((all && proxy.ledger().quiet_for() > Duration::from_secs(6)).then_some(now))
        })
        .await
    }
}
