//! A cluster on this machine with Dapr on it: real kind, Kubernetes and Dapr, pulled where images can be pulled, else
//! built from Go modules and Debian packages. What runs on it cannot tell the difference.
//!
//! Everything that is built is kept below one folder ([`Settings`]) and found again by its version, so a second
//! [`Cluster::up`] takes seconds. [`Cluster::down`] takes back whatever was done to the machine.

pub mod archive;
mod dapr;
pub(crate) mod debian;
mod docker;
mod error;
mod host;
mod kind;
mod lock;
mod neighbours;
mod node_image;
pub mod requirements;
pub mod settings;
mod source;
mod state;
pub mod tools;

use std::path::{Path, PathBuf};

pub use docker::Docker;
pub use error::Error;
pub use requirements::{Missing, Requirements};
pub use settings::Settings;
pub use source::{Images, Source};
pub use tools::{Tool, Tools};

use self::{dapr::Dapr, docker::Private, kind::Kind, lock::Lock, state::State};
use crate::{command::Command, progress::Progress};

/// How many nodes the cluster has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Nodes {
    /// One that does everything.
    #[default]
    One,
    /// A worker beside it, for scenarios that lose a node.
    Two,
}

impl Nodes {
    fn config(self) -> &'static str {
        match self {
            Self::One => "cluster.yaml",
            Self::Two => "two-nodes.yaml",
        }
    }
}

/// How the cluster is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Where its parts come from.
    pub images: Images,
    /// Its shape.
    pub nodes: Nodes,
}

/// A cluster that runs, with Dapr on it if it was made here.
#[derive(Debug, Clone)]
pub struct Cluster {
    settings: Settings,
    tools: Tools,
    kubeconfig: PathBuf,
    /// What its nodes run on, if they are kind's.
    kind: Option<Kind>,
    docker: Option<Docker>,
    source: Source,
}

impl Cluster {
    /// How many steps [`Cluster::up`] may show, for [`Progress::expect`].
    pub const UP_STEPS: usize = Tool::OFFLINE_CLUSTER.len() + 5;

    /// Brings the cluster up, or finds it up. Safe to repeat, also after a run that was interrupted.
    pub async fn up(settings: &Settings, options: Options, progress: &Progress) -> Result<Self, Error> {
        let _lock = Lock::acquire(settings, "cluster").await?;
        let source = Self::choose(settings, options.images).await;
        let missing = Requirements::of_cluster(source).await.missing();
        if !missing.is_empty() {
            let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(Error::Missing(missing.join(", ")));
        }
        if Docker::of_user().await.is_none() {
            // Here, so that nobody learns it after twenty minutes of building.
            neighbours::refuse_another(settings.cache())?;
        }
        let tools = Tools::new(settings);
        let wanted: &[Tool] = match source {
            Source::Build => &Tool::OFFLINE_CLUSTER,
            Source::Pull => &Tool::ONLINE_CLUSTER,
        };
        tools.ensure(wanted, progress).await?;
        let docker = engine(settings, &tools, progress).await?;
        let image = match source {
            Source::Build => Some(node_image::ensure(settings, &tools, &docker, progress).await?),
            Source::Pull => None,
        };
        let kind = Kind::new(settings, &tools, &docker);
        let wanted = State {
            source,
            docker_host: docker.host().map(str::to_owned),
            recipe: kind::recipe(image.as_deref(), options.nodes)?,
            dapr: None,
            network_was_there: false,
        };
        let mut state = kind.ensure(wanted, image.as_deref(), options.nodes, progress).await?;
        Dapr { settings, tools: &tools, kind: &kind }.ensure(&mut state, progress).await?;
        let kubeconfig = settings.kubeconfig();
        Ok(Self { settings: settings.clone(), tools, kubeconfig, kind: Some(kind), docker: Some(docker), source })
    }

    /// Where [`Cluster::up`] would take the cluster's parts from. What is there is kept: whether a registry happens to
    /// answer today is no reason to make it anew.
    pub async fn choose(settings: &Settings, images: Images) -> Source {
        match (images, State::read(settings)) {
            (Images::Auto, Some(state)) => state.source,
            (images, _) => images.resolve().await,
        }
    }

    /// What images are built and run by, without nodes: for what needs containers and no Kubernetes. `up` finds it there.
    pub async fn engine(settings: &Settings, images: Images, progress: &Progress) -> Result<Self, Error> {
        let source = Self::choose(settings, images).await;
        let tools = Tools::new(settings);
        let docker = engine(settings, &tools, progress).await?;
        let (settings, kubeconfig) = (settings.clone(), settings.kubeconfig());
        Ok(Self { settings, tools, kubeconfig, kind: None, docker: Some(docker), source })
    }

    /// The cluster that [`Cluster::up`] made, without changing anything.
    pub async fn running(settings: &Settings) -> Result<Self, Error> {
        let none = || Error::NoCluster("no cluster is up: run `cargo xtask up` first".to_owned());
        let state = State::read(settings).ok_or_else(none)?;
        let docker = Docker::at(state.docker_host).await.ok_or_else(none)?;
        let tools = Tools::new(settings);
        let kind = Kind::new(settings, &tools, &docker);
        Ok(Self {
            settings: settings.clone(),
            tools,
            kubeconfig: settings.kubeconfig(),
            kind: Some(kind),
            docker: Some(docker),
            source: state.source,
        })
    }

    /// The cluster that the current kubeconfig names; nothing is installed on it here. Ask before using it.
    pub async fn existing(settings: &Settings, progress: &Progress) -> Result<Self, Error> {
        let kubeconfig = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config"));
        let kubeconfig = one_kubeconfig(kubeconfig.or_else(home))?;
        let tools = Tools::new(settings);
        let wanted = if tools.kubectl().exists() { &[Tool::Helm][..] } else { &[Tool::Helm, Tool::Kubernetes][..] };
        tools.ensure(wanted, progress).await?;
        let docker = Docker::of_user().await;
        let mut cluster =
            Self { settings: settings.clone(), tools, kubeconfig, kind: None, docker, source: Source::Pull };
        // Images can be put on a kind cluster's nodes, whoever made it.
        let context = cluster.context().await?;
        if let (Some(name), Some(docker)) = (context.strip_prefix("kind-"), &cluster.docker) {
            cluster.tools.ensure(&[Tool::Kind], progress).await?;
            cluster.kind = Some(Kind::named(settings, &cluster.tools, docker, name));
        }
        Ok(cluster)
    }

    /// Removes the cluster, the private daemon, and every trace of both but the cache of built things.
    pub async fn down(settings: &Settings, progress: &Progress) -> Result<(), Error> {
        let _lock = Lock::acquire(settings, "cluster").await?;
        let step = progress.step("down", "removing the cluster");
        let state = State::read(settings);
        let (private, tools) = (Private::new(settings), Tools::new(settings));
        let docker = match state.as_ref().and_then(|state| state.docker_host.as_ref()) {
            // A machine that was restarted has the nodes' containers on its disk and no daemon to remove them with.
            Some(_) => Some(private.start(&tools).await?),
            None => match private.running().await {
                Some(docker) => Some(docker),
                None => Docker::of_user().await.filter(|_| state.is_some()),
            },
        };
        if let Some(docker) = docker.filter(|_| tools.kind().exists()) {
            let kind = Kind::new(settings, &tools, &docker);
            kind.delete().await?;
            if state.as_ref().is_none_or(|state| !state.network_was_there) {
                kind.delete_network().await;
            }
        }
        host::forget_pod_addresses().await;
        private.stop().await?;
        let _ = std::fs::remove_file(settings.kubeconfig());
        State::forget(settings);
        step.done();
        Ok(())
    }

    /// The file that clients of the cluster read.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Name of the current context of the kubeconfig.
    pub async fn context(&self) -> Result<String, Error> {
        let context = self.kubectl().args(["config", "current-context"]).run().await;
        context.map_err(Error::step("reading the kubeconfig"))
    }

    /// The programs that were built for it.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Where everything lies.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where its parts came from, and so where the project's images should.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The container engine that its nodes run on, and that images for it are built with.
    pub fn docker(&self) -> Option<&Docker> {
        self.docker.as_ref()
    }

    /// Whether images of this machine can be put on its nodes: kind's can be given them, whoever made the cluster.
    pub fn takes_images(&self) -> bool {
        self.kind.is_some()
    }

    /// Whether a port of its node is on 127.0.0.1:8088 of this machine, as `config/kind` says of ours.
    pub fn has_page_port(&self) -> bool {
        self.kubeconfig == self.settings.kubeconfig()
    }

    /// `kubectl` for this cluster.
    pub fn kubectl(&self) -> Command {
        Command::new(self.tools.kubectl()).env("KUBECONFIG", &self.kubeconfig)
    }

    /// `helm` for this cluster.
    pub fn helm(&self) -> Command {
        Command::new(self.tools.helm()).env("KUBECONFIG", &self.kubeconfig)
    }

    /// Variables that a shell needs to work with this cluster by hand.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = self.tools.path().into_iter().chain(std::env::split_paths(&path));
        let joined = std::env::join_paths(folders).unwrap_or(path);
        let mut env = vec![
            ("KUBECONFIG", self.kubeconfig.display().to_string()),
            ("PATH", joined.to_string_lossy().into_owned()),
        ];
        if let Some(host) = self.docker.as_ref().and_then(Docker::host) {
            env.push(("DOCKER_HOST", host.to_owned()));
        }
        env
    }

    /// Puts an image of the container engine on the nodes. On a cluster that is not kind's, nodes have to pull.
    pub async fn load_image(&self, image: &str) -> Result<(), Error> {
        self.nodes_of_kind(image)?.load_image(image).await.map_err(Error::step(format!("loading {image}")))
    }

    /// Puts the images of an archive ([`archive::Image::write`], `docker save`) on the nodes.
    pub async fn load_archive(&self, archive: &Path) -> Result<(), Error> {
        let name = archive.display().to_string();
        self.nodes_of_kind(&name)?.load_archive(archive).await.map_err(Error::step(format!("loading {name}")))
    }

    fn nodes_of_kind(&self, image: &str) -> Result<&Kind, Error> {
        self.kind.as_ref().ok_or_else(|| {
            Error::NoCluster(format!(
                "{image} cannot be put on this cluster's nodes: push it to a registry they pull from"
            ))
        })
    }
}

/// The one file that is meant. Of a list kubectl makes one, and its contexts would be looked for in the wrong file here.
fn one_kubeconfig(named: Option<PathBuf>) -> Result<PathBuf, Error> {
    let none = || Error::NoCluster("no kubeconfig: set KUBECONFIG to the cluster that is to be used".to_owned());
    let named = named.ok_or_else(none)?;
    if !named.exists() && std::env::split_paths(&named).count() > 1 {
        return Err(Error::NoCluster(format!(
            "{} is a list of files, which is not taken: set KUBECONFIG to one, such as what `kubectl config view \
             --flatten --minify` prints",
            named.display()
        )));
    }
    Some(named).filter(|path| path.exists()).ok_or_else(none)
}

/// The container engine: of the user if one answers, else a private one.
async fn engine(settings: &Settings, tools: &Tools, progress: &Progress) -> Result<Docker, Error> {
    let private = Private::new(settings);
    if let Some(docker) = private.running().await {
        progress.skip("Docker: the private daemon runs");
        return Ok(docker);
    }
    if let Some(docker) = Docker::of_user().await {
        progress.skip("Docker: the daemon that answers");
        return Ok(docker);
    }
    let step = progress.step("docker", "starting a private Docker daemon");
    // In the cluster of a machine that pulls images it is not built yet.
    if !tools.runc_fit().exists() {
        tools.ensure(&[Tool::RuncFit], progress).await?;
    }
    let docker = private.start(tools).await?;
    step.done();
    Ok(docker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_kubeconfigs_is_told_from_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, "").unwrap();
        let refused = |named: Option<PathBuf>| one_kubeconfig(named).unwrap_err().to_string();
        let list = std::env::join_paths([&file, &folder.path().join("other")]).unwrap();
        assert!(refused(Some(list.into())).contains("a list of files"));
        assert!(refused(Some(folder.path().join("other"))).contains("no kubeconfig"));
        assert!(refused(None).contains("no kubeconfig"));
        assert_eq!(one_kubeconfig(Some(file.clone())).unwrap(), file);
    }
}
