//! Where the system runs: on a cluster, or as processes of this machine. Load, log and judge are the same.

pub(super) mod cluster;
mod local;

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use super::Nemesis;
use crate::harness::{Forward, LocalPlatform, Platform, http::Http};

/// See the module.
#[derive(Clone)]
pub enum Ground {
    /// A platform of a cluster.
    Cluster(Box<Platform>),
    /// One without Kubernetes.
    Local(Arc<Mutex<LocalPlatform>>),
}

/// How long things take.
pub(super) struct Pace {
    /// Between the end of one fault and the beginning of the next.
    pub(super) calm: Duration,
    /// How long something stays frozen or cut off.
    pub(super) hold: Duration,
    /// How long reminders are held up, if there are to be some: they are looked for every 15 s.
    pub(super) tick: Duration,
    /// How long everything may take to get through after the last fault.
    pub(super) drained: Duration,
}

impl Ground {
    /// A platform of a cluster.
    pub fn cluster(platform: Platform) -> Self {
        Self::Cluster(Box::new(platform))
    }

    /// One without Kubernetes.
    pub fn local(platform: LocalPlatform) -> Self {
        Self::Local(Arc::new(Mutex::new(platform)))
    }

    /// The last lines of all logs, where nobody else keeps them.
    pub async fn dump(&self) -> String {
        match self {
            Self::Cluster(_) => String::new(),
            Self::Local(platform) => platform.lock().await.dump(),
        }
    }

    /// Pods take longer to come back than processes.
    pub(super) fn pace(&self) -> Pace {
        let seconds = |calm, hold, tick, drained| Pace {
            calm: Duration::from_secs(calm),
            hold: Duration::from_secs(hold),
            tick: Duration::from_secs(tick),
            drained: Duration::from_secs(drained),
        };
        match self {
            Self::Cluster(_) => seconds(6, 9, 10, 180),
            // Longer than the minute for which a service that is gone keeps others from what it was sending.
            Self::Local(_) => seconds(2, 4, 18, 120),
        }
    }

    /// What can be done to it.
    pub fn nemeses(&self) -> Vec<Nemesis> {
        let can = |nemesis: &Nemesis| match self {
            // Kafka's programs, which change a topic, take long to start beside a broker that has little of the processor.
            Self::Cluster(_) => !matches!(nemesis, Nemesis::Refuse(..)),
            // All of it is on one host.
            Self::Local(_) => !matches!(nemesis, Nemesis::Partition(..)),
        };
        Nemesis::ALL.into_iter().filter(can).collect()
    }

    pub(super) async fn strike(&self, nemesis: Nemesis, hold: Duration) -> anyhow::Result<()> {
        match self {
            Self::Cluster(platform) => cluster::strike(nemesis, &platform.namespace, hold).await,
            Self::Local(platform) => local::strike(nemesis, platform, hold).await,
        }
    }

    /// Brings back what has ended, where nobody else does; it returns only by an error.
    pub(super) async fn keep_running(&self) -> anyhow::Result<()> {
        match self {
            Self::Cluster(_) => std::future::pending().await,
            Self::Local(platform) => local::keep_running(platform).await,
        }
    }

    /// The page and the API behind it, as a person reaches them.
    pub(super) async fn page(&self) -> anyhow::Result<Http> {
        match self {
            Self::Cluster(platform) => platform.page().await,
            Self::Local(platform) => platform.lock().await.page(),
        }
    }

    /// The sidecar of an app, as the app reaches it.
    pub(super) async fn sidecar(&self, app: &str) -> anyhow::Result<Http> {
        match self {
            Self::Cluster(platform) => platform.sidecar(app).await,
            Self::Local(platform) => platform.lock().await.sidecar(app),
        }
    }

    /// A connection to the database, by a way that is open as long as the second is kept.
    pub(super) async fn database(&self) -> anyhow::Result<(PgConnection, Option<Forward>)> {
        match self {
            Self::Cluster(platform) => {
                let (connection, forward) = platform.database().await?;
                Ok((connection, Some(forward)))
            }
            Self::Local(platform) => {
                let url = platform.lock().await.database()?;
                Ok((PgConnection::connect(&url).await?, None))
            }
        }
    }

    /// Runs a shell's script in the broker's container and gives what it says. `$0` is the broker's address, the rest
    /// follows.
    pub async fn in_broker(&self, script: &str, arguments: &[&str]) -> anyhow::Result<String> {
        match self {
            Self::Cluster(platform) => cluster::in_broker(&platform.namespace, script, arguments).await,
            Self::Local(platform) => local::in_broker(platform, script, arguments).await,
        }
    }
}
