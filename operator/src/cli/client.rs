//! How the commands that look at a cluster reach it.

use std::time::Duration;

use anyhow::Context;
use kube::{Client, Config};

use crate::class::{Class, words};

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

/// Why something could not be asked.
pub(super) fn cannot(what: &str, error: &kube::Error) -> anyhow::Error {
    match Class::of(error) {
        Class::Missing => {
            anyhow::anyhow!("cannot {what}: the cluster does not know the kind; see todo-operator preflight")
        }
        _ => anyhow::anyhow!("cannot {what}: {}", words(error)),
    }
}
