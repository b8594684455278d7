//! Processes that stop without ending: the worst way for a broker or a database to fail, as connections to it stay open.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::Namespace;
use crate::command::Command;

/// Of what the node does at once.
const LIMIT: Duration = Duration::from_mins(1);

/// A container's process that is stopped until this is thawed.
pub struct Frozen {
    namespace: Namespace,
    pod_uid: String,
    pattern: String,
}

impl Frozen {
    /// Stops the processes of a pod whose command lines match a pattern.
    pub async fn freeze(namespace: &Namespace, pod: &str, pattern: &str) -> anyhow::Result<Self> {
        let api: Api<Pod> = namespace.api();
        let pod_uid = api.get(pod).await?.uid().unwrap_or_default();
        let frozen = Self { namespace: namespace.clone(), pod_uid, pattern: pattern.to_owned() };
        frozen.signal("STOP").await?;
        Ok(frozen)
    }

    /// Lets them go on.
    pub async fn thaw(self) -> anyhow::Result<()> {
        self.signal("CONT").await
    }

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        self::signal(&self.namespace, &self.pod_uid, &self.pattern, signal).await
    }
}

/// Sends a signal to the processes of a pod whose command lines match a pattern. A process may not stop the first one of
/// its own container, so this is done from the node.
pub async fn signal(namespace: &Namespace, pod_uid: &str, pattern: &str, signal: &str) -> anyhow::Result<()> {
    const SCRIPT: &str = r#"
        found=1
        for process in $(pgrep -f "$2"); do
          if grep -q "$1" "/proc/$process/cgroup"; then kill "-$3" "$process" && found=0; fi
        done
        exit $found"#;
    // In images all services have one name, beside a cluster each has its own.
    let pattern = if pattern.starts_with("todo-") { "^/service$" } else { pattern };
    // systemd writes the dashes of a pod's UID as underscores in cgroups' names, other drivers do not.
    let uid = pod_uid.replace('-', "[-_]");
    on_node(namespace, ["sh", "-c", SCRIPT, "signal", &uid, pattern, signal].map(str::to_owned)).await
}

/// Lets no packet from other pods get to these addresses for a while, nor from all of them but from `sources` only. The
/// node's packet filter does it, which all packets between pods pass; what the node itself sends gets through, so that
/// nothing is restarted for it. The node ends it by itself, whatever becomes of this process.
pub async fn cut_off(
    namespace: &Namespace,
    targets: &[String],
    sources: Option<&[String]>,
    length: Duration,
) -> anyhow::Result<()> {
    const SCRIPT: &str = r#"
        rule="-d $1 ${2:+-s $2} -j DROP"
        iptables -w -I FORWARD $rule && sleep "$3"
        iptables -w -D FORWARD $rule"#;
    let (targets, sources) = (targets.join(","), sources.unwrap_or_default().join(","));
    let length_in_seconds = length.as_secs().to_string();
    let script = ["sh", "-c", SCRIPT, "cut", &targets, &sources, &length_in_seconds].map(str::to_owned);
    on_node_for(namespace, length + LIMIT, script).await
}

/// Runs a program on the node, which ends soon.
pub async fn on_node(namespace: &Namespace, arguments: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    on_node_for(namespace, LIMIT, arguments).await
}

async fn on_node_for(
    namespace: &Namespace,
    limit: Duration,
    arguments: impl IntoIterator<Item = String>,
) -> anyhow::Result<()> {
    let cluster = &namespace.env.cluster;
    let node = format!("{}-control-plane", crate::cluster::settings::CLUSTER);
    let docker = cluster.docker().map_or_else(|| Command::new("docker"), crate::cluster::Docker::command);
    docker.args(["exec", &node]).args(arguments).limit(limit).run().await?;
    Ok(())
}
