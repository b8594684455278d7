//! Ways into pods. Pods' addresses are out of the host's reach on purpose; the API server forwards, and what it forwards
//! arrives on the pod's loopback, so the sidecar's own API can be spoken to as the app speaks to it.

use std::{net::SocketAddr, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Portforwarder},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// How often a way to a pod is asked for, and the pause between.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// A port of a pod, on loopback of this machine. It is closed when dropped.
pub struct Forward {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forward {
    /// Forwards to a pod of this name.
    pub async fn to_pod(client: &Client, namespace: &str, pod: &str, port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Self::by(listener, client, namespace, pod, port)
    }

    /// Forwards to a pod of this name, at the same port as here, for what tells its clients at which address it is. The pod may
    /// come later.
    pub async fn to_same_port(client: &Client, namespace: &str, pod: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        Self::by(listener, client, namespace, pod, port)
    }

    fn by(listener: TcpListener, client: &Client, namespace: &str, pod: &str, port: u16) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let (api, pod) = (Api::<Pod>::namespaced(client.clone(), namespace), pod.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(carry(api.clone(), pod.clone(), port, connection));
            }
        });
        Ok(Self { address, task })
    }

    /// Forwards to a ready pod with this `app` label.
    pub async fn to_app(client: &Client, namespace: &str, app: &str, port: u16) -> anyhow::Result<Self> {
        let pods = ready_pods(client, namespace, app).await?;
        let pod = pods.first().ok_or_else(|| anyhow::anyhow!("no pod of {app} in {namespace} is ready"))?;
        Self::to_pod(client, namespace, pod, port).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL that begins here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(api: Api<Pod>, pod: String, port: u16, mut connection: TcpStream) {
    // A pod that has just gone ends the connection, which is what its client should see.
    let Some(mut forwarder) = way(&api, &pod, port).await else { return };
    if let Some(mut stream) = forwarder.take_stream(port) {
        let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
    }
    forwarder.abort();
}

/// The API server or the node may fail to make a way to a pod that stays. Nothing has been sent on it yet.
async fn way(api: &Api<Pod>, pod: &str, port: u16) -> Option<Portforwarder> {
    for _ in 0..TRIES {
        if let Ok(forwarder) = api.portforward(pod, &[port]).await {
            return Some(forwarder);
        }
        if api.get(pod).await.is_ok_and(|pod| pod.metadata.deletion_timestamp.is_some()) {
            return None;
        }
        sleep(PAUSE).await;
    }
    None
}

/// Names of the pods of an app that are ready and not about to go.
pub async fn ready_pods(client: &Client, namespace: &str, app: &str) -> anyhow::Result<Vec<String>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = api.list(&ListParams::default().labels(&format!("app={app}"))).await?;
    let ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        pod.metadata.deletion_timestamp.is_none()
            && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    Ok(pods.into_iter().filter(ready).map(|pod| pod.name_any()).collect())
}
