//! What goes wrong. Each is over when it returns; what it broke may still be on its way back.

use std::{fmt, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Frozen, Namespace, freeze};

/// How long something stays frozen or cut off.
const HOLD: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nemesis {
    /// A pod of this app ends without a word.
    KillPod(&'static str),
    /// The sidecar of this app ends without a word.
    KillSidecar(&'static str),
    /// The process of this pod, with this in its command line, stops and goes on later.
    Freeze(&'static str, &'static str),
    /// No packet gets from pods of the one app to those of the other.
    Partition(&'static str, &'static str),
    /// A rolling restart of this app, as `kubectl rollout restart` does it.
    Restart(&'static str),
}

const BACKEND: &str = "backend-service";
const CONSUMER: &str = "recurring-task-service";
const NOTIFICATION: &str = "notification-service";

impl Nemesis {
    /// All that a run lets loose.
    pub const ALL: [Self; 13] = [
        Self::KillPod(BACKEND),
        Self::KillPod(CONSUMER),
        Self::KillPod(NOTIFICATION),
        Self::KillPod("kafka"),
        Self::KillPod("postgres"),
        Self::KillSidecar(BACKEND),
        Self::KillSidecar(CONSUMER),
        Self::Freeze(CONSUMER, "daprd"),
        Self::Freeze("kafka", "kafka.Kafka"),
        Self::Freeze("postgres", "postgres"),
        Self::Partition(BACKEND, "kafka"),
        Self::Partition(CONSUMER, "postgres"),
        Self::Restart(BACKEND),
    ];

    /// Does it.
    pub async fn strike(self, namespace: &Namespace) -> anyhow::Result<()> {
        match self {
            Self::KillPod(app) => {
                let at_once = DeleteParams::default().grace_period(0);
                if let Some(pod) = pods(namespace, app).await?.first() {
                    namespace.api::<Pod>().delete(&pod.name_any(), &at_once).await?;
                }
            }
            Self::KillSidecar(app) => {
                if let Some(pod) = pods(namespace, app).await?.first() {
                    // It may be on its way back from the fault before.
                    let _ = freeze::signal(namespace, &pod.uid().unwrap_or_default(), "daprd", "KILL").await;
                }
            }
            Self::Freeze(app, process) => {
                let Some(pod) = pods(namespace, app).await?.first().map(ResourceExt::name_any) else { return Ok(()) };
                if let Ok(frozen) = Frozen::freeze(namespace, &pod, process).await {
                    sleep(HOLD).await;
                    // The pod may have been restarted for its silence.
                    let _ = frozen.thaw().await;
                }
            }
            Self::Partition(from, to) => partition(namespace, from, to).await?,
            Self::Restart(app) => {
                let now = jiff::Timestamp::now().to_string();
                let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
                let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
                let api = namespace.api::<Deployment>();
                api.patch(app, &PatchParams::default(), &Patch::Merge(patch)).await?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillPod(app) => write!(f, "a pod of {app} is killed"),
            Self::KillSidecar(app) => write!(f, "the sidecar of {app} is killed"),
            Self::Freeze(app, process) => write!(f, "{process} of {app} freezes"),
            Self::Partition(from, to) => write!(f, "{from} is cut off from {to}"),
            Self::Restart(app) => write!(f, "{app} is restarted"),
        }
    }
}

/// The pods of an app that are not on their way out.
async fn pods(namespace: &Namespace, app: &str) -> anyhow::Result<Vec<Pod>> {
    let list = namespace.api::<Pod>().list(&ListParams::default().labels(&format!("app={app}"))).await?;
    Ok(list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// By the node's packet filter, which all packets between pods pass.
async fn partition(namespace: &Namespace, from: &str, to: &str) -> anyhow::Result<()> {
    let addresses = async |app: &str| -> anyhow::Result<Vec<String>> {
        let pods = pods(namespace, app).await?;
        Ok(pods.into_iter().filter_map(|pod| pod.status?.pod_ip).collect())
    };
    let (sources, targets) = (addresses(from).await?.join(","), addresses(to).await?.join(","));
    if sources.is_empty() || targets.is_empty() {
        return Ok(());
    }
    let rule = |action: &str| {
        let rule =
            ["iptables", "-w", action, "FORWARD", "-s", &sources, "-d", &targets, "-j", "DROP"].map(str::to_owned);
        freeze::on_node(namespace, rule)
    };
    rule("-I").await?;
    sleep(HOLD).await;
    rule("-D").await
}
