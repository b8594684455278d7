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
use crate::harness::{Frozen, Namespace, freeze, until};

/// How long what is to be broken may be on its way back from the fault before. A sidecar that was killed some times is
/// started anew after a while only.
const BACK: Duration = Duration::from_mins(2);

/// Breaks something for a while.
pub(super) async fn strike(nemesis: Nemesis, namespace: &Namespace, hold: Duration) -> anyhow::Result<()> {
    let what = nemesis.to_string();
    match nemesis {
        Nemesis::KillPod(app) => {
            let (at_once, api) = (DeleteParams::default().grace_period(0), namespace.api::<Pod>());
            until(&what, BACK, async || {
                api.delete(&first(namespace, app).await?.name_any(), &at_once).await?;
                Ok(Some(()))
            })
            .await?;
        }
        Nemesis::KillSidecar(app) => {
            until(&what, BACK, async || {
                let pod = first(namespace, app).await?.uid().unwrap_or_default();
                freeze::signal(namespace, &pod, "daprd", "KILL").await.map(Some)
            })
            .await?;
        }
        Nemesis::Freeze(app, process) => {
            let frozen = until(&what, BACK, async || {
                let pod = first(namespace, app).await?.name_any();
                Frozen::freeze(namespace, &pod, process).await.map(Some)
            })
            .await?;
            sleep(hold).await;
            // The pod may have been restarted for its silence.
            let _ = frozen.thaw().await;
        }
        Nemesis::Partition(from, to) => {
            let (sources, targets) = until(&what, BACK, async || {
                Ok(Some((addresses(namespace, from).await?, addresses(namespace, to).await?)))
            })
            .await?;
            freeze::cut_off(namespace, &targets, Some(&sources), hold).await?;
        }
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

/// One of them.
async fn first(namespace: &Namespace, app: &str) -> anyhow::Result<Pod> {
    pods(namespace, app).await?.into_iter().next().with_context(|| format!("{app} has no pod"))
}

/// The addresses of an app's pods. It has some.
async fn addresses(namespace: &Namespace, app: &str) -> anyhow::Result<Vec<String>> {
    let pods = pods(namespace, app).await?;
    let addresses: Vec<_> = pods.into_iter().filter_map(|pod| pod.status?.pod_ip).collect();
    anyhow::ensure!(!addresses.is_empty(), "{app} has no address");
    Ok(addresses)
}

/// No pod reaches the broker for so long.
pub(in crate::chaos) async fn without_broker(namespace: &Namespace, length: Duration) -> anyhow::Result<()> {
    freeze::cut_off(namespace, &addresses(namespace, "kafka").await?, None, length).await
}
