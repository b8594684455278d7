//! What scenarios are written with: namespaces that end with them, platforms, ways into pods, and waits that have a limit
//! and show what is going on when they reach it.

pub mod channel_sink;
pub mod cut;
pub mod database;
pub mod dump;
pub mod forward;
pub mod freeze;
pub mod http;
pub mod local;
pub mod machine;
pub mod metrics;
pub mod namespace;
pub mod platform;
pub mod python;
pub mod ready_pods;
pub mod standalone;
pub mod statuses;
pub mod transitions;
pub mod wait;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

pub use channel_sink::ChannelSink;
pub use forward::Forward;
pub use freeze::Frozen;
pub use local::LocalPlatform;
pub use metrics::Metrics;
pub use namespace::Namespace;
pub use platform::Platform;
pub use python::Python;
pub use ready_pods::ReadyPods;
pub use statuses::Statuses;
pub use transitions::Transitions;
pub use wait::until;

use crate::cluster::{Cluster, Settings};

/// The running cluster and a client for it.
#[derive(Clone)]
pub struct Env {
    /// The cluster that `cargo xtask up` made.
    pub cluster: Cluster,
    /// A client with an administrator's rights.
    pub client: Client,
}

impl Env {
    /// Connects to the cluster of this machine's cache.
    pub async fn connect() -> anyhow::Result<Self> {
        let cluster = Cluster::running(&Settings::from_env()?).await?;
        let client = client(cluster.kubeconfig()).await?;
        Ok(Self { cluster, client })
    }
}

/// A client for the current context of a kubeconfig.
pub async fn client(kubeconfig: &std::path::Path) -> anyhow::Result<Client> {
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &options).await?;
    Ok(Client::try_from(config)?)
}
