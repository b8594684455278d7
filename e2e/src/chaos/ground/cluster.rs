//! A platform on a cluster whose parts are broken: its node does what pods cannot do to themselves.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{AttachParams, DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::{io::AsyncReadExt, time::sleep};

use super::Nemesis;
use crate::harness::{Frozen, Namespace, freeze};

/// Breaks something for a while.
pub(super) async fn strike(nemesis: Nemesis, namespace: &Namespace, hold: Duration) -> anyhow::Result<()> {
    match nemesis {
        Nemesis::KillPod(app) => {
            let at_once = DeleteParams::default().grace_period(0);
            if let Some(pod) = pods(namespace, app).await?.first() {
                namespace.api::<Pod>().delete(&pod.name_any(), &at_once).await?;
            }
        }
        Nemesis::KillSidecar(app) => {
            if let Some(pod) = pods(namespace, app).await?.first() {
                // It may be on its way back from the fault before.
                let _ = freeze::signal(namespace, &pod.uid().unwrap_or_default(), "daprd", "KILL").await;
            }
        }
        Nemesis::Freeze(app, process) => {
            let Some(pod) = pods(namespace, app).await?.first().map(ResourceExt::name_any) else { return Ok(()) };
            if let Ok(frozen) = Frozen::freeze(namespace, &pod, process).await {
                sleep(hold).await;
                // The pod may have been restarted for its silence.
                let _ = frozen.thaw().await;
            }
        }
        Nemesis::Partition(from, to) => partition(namespace, from, to, hold).await?,
        Nemesis::Restart(app) => {
            let now = jiff::Timestamp::now().to_string();
            let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
            let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
            let api = namespace.api::<Deployment>();
            api.patch(app, &PatchParams::default(), &Patch::Merge(patch)).await?;
        }
        Nemesis::EndSessions | Nemesis::Refuse(..) => anyhow::bail!("{nemesis}: this is not done by the cluster"),
    }
    Ok(())
}

/// Runs a shell's script in the broker's container and gives what it says. `$0` is the broker's address, the rest follows.
pub(super) async fn in_broker(namespace: &Namespace, script: &str, arguments: &[&str]) -> anyhow::Result<String> {
    // The listener that only the broker's pod reaches.
    let command: Vec<&str> = ["sh", "-c", script, "127.0.0.1:9094"].iter().chain(arguments).copied().collect();
    let output = AttachParams::default().stderr(false);
    let mut process = namespace.api::<Pod>().exec("kafka-0", command, &output).await?;
    let mut text = String::new();
    process.stdout().context("no output")?.read_to_string(&mut text).await?;
    Ok(text)
}

/// The pods of an app that are not on their way out.
async fn pods(namespace: &Namespace, app: &str) -> anyhow::Result<Vec<Pod>> {
    let list = namespace.api::<Pod>().list(&ListParams::default().labels(&format!("app={app}"))).await?;
    Ok(list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// By the node's packet filter, which all packets between pods pass.
async fn partition(namespace: &Namespace, from: &str, to: &str, hold: Duration) -> anyhow::Result<()> {
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
    sleep(hold).await;
    rule("-D").await
}
