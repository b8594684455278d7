//! The cluster of containers itself, by an unmodified kind.

use std::{path::Path, time::Duration};

use sha2::{Digest, Sha256};

use super::{Docker, Error, Nodes, Settings, host, settings, state::State, tools::Tools};
use crate::{
    command::{self, Command},
    progress::{Progress, Tail},
};

const CREATE_LIMIT: Duration = Duration::from_mins(5);
/// After a restart of the node, its controllers first wait for their old lease to run out.
const RESTART_LIMIT: Duration = Duration::from_mins(2);
const NETWORK: &str = "kind";

/// kind, for the one cluster of a cache.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    settings: Settings,
    tools: Tools,
    docker: Docker,
    name: String,
}

impl Kind {
    pub(super) fn new(settings: &Settings, tools: &Tools, docker: &Docker) -> Self {
        Self::named(settings, tools, docker, settings::CLUSTER)
    }

    /// A cluster of another name, that somebody else made.
    pub(super) fn named(settings: &Settings, tools: &Tools, docker: &Docker, name: &str) -> Self {
        Self { settings: settings.clone(), tools: tools.clone(), docker: docker.clone(), name: name.to_owned() }
    }

    fn command(&self) -> Command {
        self.docker.with_host(Command::new(self.tools.kind())).log(self.settings.log("kind"))
    }

    fn kubectl(&self) -> Command {
        Command::new(self.tools.kubectl()).arg("--kubeconfig").arg(self.settings.kubeconfig())
    }

    /// Makes sure that a cluster of this recipe is there and answers. `image` is none for kind's own published one.
    pub(super) async fn ensure(
        &self,
        wanted: State,
        image: Option<&str>,
        nodes: Nodes,
        progress: &Progress,
    ) -> Result<State, Error> {
        let found = State::read(&self.settings).filter(|state| state.recipe == wanted.recipe);
        let containers = self.containers(None).await?;
        if let (Some(found), false) = (found, containers.is_empty()) {
            if self.revive(&containers, progress).await? {
                host::refuse_pod_addresses().await;
                return Ok(found);
            }
            progress.note("the cluster does not answer any more: making it anew");
        }
        let step = progress.step("kind-create", format!("creating the kind cluster {}", self.name));
        if !containers.is_empty() {
            self.delete().await?;
        }
        let network_was_there = self.docker.command().args(["network", "inspect", NETWORK]).succeeds().await;
        let state = State { network_was_there, dapr: None, ..wanted };
        // Before the work, so that `down` knows of whatever an interrupted run left.
        state.write(&self.settings)?;
        host::refuse_pod_addresses().await;
        self.create(image, nodes, step.tail()).await?;
        self.wait_for_dns().await?;
        step.done();
        Ok(state)
    }

    async fn create(&self, image: Option<&str>, nodes: Nodes, tail: &Tail) -> Result<(), Error> {
        let config = Settings::config().join("kind").join(nodes.config());
        let create = self.command().args(["create", "cluster", "--name", &self.name, "--wait", "180s", "--config"]);
        let create = create.arg(config).arg("--kubeconfig").arg(self.settings.kubeconfig());
        let create = image.into_iter().fold(create, |create, image| create.args(["--image", image]));
        // The config's paths are those of the checkout.
        let create = create.dir(Settings::config().join(".."));
        let created = create.limit(CREATE_LIMIT).tail(tail).run().await;
        created.map_err(Error::step("creating the kind cluster"))?;
        self.take_kubectl(image.is_some()).await
    }

    /// A published node image brings the kubectl of its release, so that none has to be built.
    async fn take_kubectl(&self, was_built: bool) -> Result<(), Error> {
        let kubectl = self.tools.pulled_kubectl();
        if was_built {
            return Ok(());
        }
        if let Some(folder) = kubectl.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        let from = format!("{}-control-plane:/usr/bin/kubectl", self.name);
        let copy = self.docker.command().args(["cp", &from]).arg(&kubectl);
        copy.run().await.map_err(Error::step("taking kubectl out of the node")).map(drop)
    }

    /// Names of the cluster's node containers, of one state or of all.
    async fn containers(&self, status: Option<&str>) -> Result<Vec<String>, Error> {
        let label = format!("label=io.x-k8s.kind.cluster={}", self.name);
        let list = self.docker.command().args(["ps", "--all", "--format", "{{.Names}}", "--filter", &label]);
        let list = status.into_iter().fold(list, |list, status| list.arg("--filter").arg(format!("status={status}")));
        let names = list.run().await.map_err(Error::step("looking for the cluster's nodes"))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Starts nodes that were stopped (with the daemon or the machine) and says whether the cluster then answers.
    async fn revive(&self, containers: &[String], progress: &Progress) -> Result<bool, Error> {
        let running = self.containers(Some("running")).await?;
        let stopped: Vec<&String> = containers.iter().filter(|name| !running.contains(name)).collect();
        if stopped.is_empty() && self.answers().await {
            self.write_kubeconfig().await?;
            progress.skip("kind cluster: running");
            return Ok(true);
        }
        let step = progress.step("kind-restart", format!("starting the kind cluster {} again", self.name));
        let start = self.docker.command().arg("start").args(&stopped);
        if !stopped.is_empty() && !start.succeeds().await {
            return Ok(false);
        }
        self.write_kubeconfig().await?;
        let back = tokio::time::timeout(RESTART_LIMIT, async {
            while !self.answers().await {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let well = back.await.is_ok() && self.wait_for_dns().await.is_ok();
        if well {
            step.done();
        }
        Ok(well)
    }

    async fn answers(&self) -> bool {
        let ready = self.kubectl().args(["get", "--raw", "/readyz", "--request-timeout=5s"]);
        ready.limit(Duration::from_secs(8)).succeeds().await
    }

    /// kind is content when nodes are; names are served some seconds later.
    async fn wait_for_dns(&self) -> Result<(), Error> {
        let wait =
            self.kubectl().args(["-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"]);
        let wait = wait.limit(Duration::from_secs(130)).run().await;
        wait.map_err(Error::step("waiting for the cluster's name server")).map(drop)
    }

    async fn write_kubeconfig(&self) -> Result<(), Error> {
        let export = self.command().args(["export", "kubeconfig", "--name", &self.name, "--kubeconfig"]);
        let export = export.arg(self.settings.kubeconfig()).run().await;
        export.map_err(Error::step("writing the kubeconfig")).map(drop)
    }

    /// Puts an image of the daemon on every node that lacks it.
    pub(super) async fn load_image(&self, image: &str) -> Result<(), command::Error> {
        let load = self.command().args(["load", "docker-image", image, "--name", &self.name]);
        load.limit(Duration::from_mins(5)).run().await.map(drop)
    }

    /// Puts the images of an archive on every node.
    pub(super) async fn load_archive(&self, archive: &Path) -> Result<(), command::Error> {
        let load = self.command().args(["load", "image-archive"]).arg(archive).args(["--name", &self.name]);
        load.limit(Duration::from_mins(5)).run().await.map(drop)
    }

    /// Removes the nodes with their volumes.
    pub(super) async fn delete(&self) -> Result<(), Error> {
        let delete = self.command().args(["delete", "cluster", "--name", &self.name, "--kubeconfig"]);
        let deleted = delete.arg(self.settings.kubeconfig()).limit(Duration::from_mins(3)).run().await;
        deleted.map_err(Error::step("deleting the kind cluster")).map(drop)
    }

    /// Removes the network that kind made. Where others' clusters are on it too, the daemon refuses, rightly.
    pub(super) async fn delete_network(&self) {
        let _ = self.docker.command().args(["network", "rm", NETWORK]).run().await;
    }
}

/// What decides whether a cluster that is there can be kept.
pub(super) fn recipe(image: Option<&str>, nodes: Nodes) -> Result<String, Error> {
    let config = Settings::config().join("kind").join(nodes.config());
    let text = std::fs::read(&config).map_err(Error::file(&config))?;
    let shape = hex::encode(Sha256::digest(text));
    Ok(format!("{} {}", image.unwrap_or("published"), &shape[..12]))
}
