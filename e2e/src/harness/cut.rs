//! Pods that nobody reaches, although they run: no packet gets to them, and so no error comes back.

use k8s_openapi::api::core::v1::Pod;

use super::{Namespace, freeze::on_node};

/// A pod that no other pod reaches until this is ended. What runs within the pod, its probes and forwarded ports work on.
pub struct Cut {
    namespace: Namespace,
    address: String,
}

impl Cut {
    /// Cuts a pod off.
    pub async fn off(namespace: &Namespace, pod: &str) -> anyhow::Result<Self> {
        let status = namespace.api::<Pod>().get(pod).await?.status.unwrap_or_default();
        let address = status.pod_ip.ok_or_else(|| anyhow::anyhow!("{pod} has no address"))?;
        let cut = Self { namespace: namespace.clone(), address };
        cut.rule("-I").await?;
        Ok(cut)
    }

    /// Lets packets through again. It has to be called whatever happens: another pod may get the address.
    pub async fn end(self) -> anyhow::Result<()> {
        self.rule("-D").await
    }

    /// By the node's packet filter, which all packets between pods pass.
    async fn rule(&self, action: &str) -> anyhow::Result<()> {
        let rule = ["iptables", "-w", action, "FORWARD", "-d", &self.address, "-j", "DROP"];
        on_node(&self.namespace, rule.map(str::to_owned)).await
    }
}
