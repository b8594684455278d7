//! How the commands that look at a cluster reach it.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, Config, api::ListParams, client::ClientBuilder};
use tower::timeout::TimeoutLayer;

use crate::{
    class::{Class, words},
    labels::MANAGED_BY,
};

/// How long a connection to the API server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the API server may be silent.
const READ: Duration = Duration::from_secs(30);

/// A client by kubeconfig or, in a pod, by the pod's account; with the rights of `user` if one is given.
pub(super) async fn connect(user: Option<&str>) -> anyhow::Result<Client> {
    let mut config = Config::infer().await.context("cannot find out how to reach the API server")?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    if let Some(user) = user {
        config.auth_info.impersonate = Some(user.to_owned());
    }
    Client::try_from(config).context("cannot make a client of the API server")
}

/// A client for which each question is one that failed if its answer has not begun after `limit`. Else a watch of which not
/// even the beginning is answered would be waited for as long as its connection lasts.
pub(super) fn answered_within(limit: Duration, config: Config) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&TimeoutLayer::new(limit)).build())
}

/// The Deployments of operators, by the label that the chart gives them.
pub(super) async fn operators(api: &Api<Deployment>) -> kube::Result<Vec<Deployment>> {
    let labels = ListParams::default().labels(&format!("app.kubernetes.io/name={MANAGED_BY}"));
    Ok(api.list(&labels).await?.items)
}

/// Why something could not be asked.
pub(super) fn cannot(what: &str, error: &kube::Error) -> anyhow::Error {
    match Class::of(error) {
        Class::Missing => {
            anyhow::anyhow!("cannot {what}: the cluster does not know the kind; see todo-operator preflight")
        }
        _ => anyhow::anyhow!("cannot {what}: {}", words(error)),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::api::WatchParams;
    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_watch_whose_beginning_is_never_answered_fails() {
        // Connections wait in its queue, and nobody takes them.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let client = answered_within(Duration::from_millis(50), Config::new(url.parse().unwrap())).unwrap();
        let pods: Api<Pod> = Api::all(client);
        let begun = timeout(Duration::from_secs(10), pods.watch(&WatchParams::default(), "1")).await;
        let why = begun.expect("it fails by itself").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(why.contains("timed out"), "{why}");
    }
}
