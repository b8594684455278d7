//! Versions, names and places. Whatever is built is kept below one cache folder, outside the checkout.

use std::path::{Path, PathBuf};

use super::Error;

/// Kubernetes on the nodes and in the tools; the last minor release whose kubelet takes cgroup v1.
pub const KUBERNETES: &str = "v1.34.4";
/// The tool that makes the cluster.
pub const KIND: &str = "0.33.0";
/// Dapr where it is built here: newer modules lack the checksum of a dependency.
pub const DAPR: &str = "1.16.0";
/// Dapr where its chart and images can be pulled: the first 1.16 with the access-control fix.
pub const DAPR_PUBLISHED: &str = "1.16.14";
/// Where Dapr's chart is published.
pub const DAPR_CHARTS: &str = "https://dapr.github.io/helm-charts/";
/// Installs charts.
pub const HELM: &str = "3.22.0";
/// The cluster's database; Debian's is too old for this API server.
pub const ETCD: &str = "3.7.3";
/// The cluster's name server.
pub const COREDNS: &str = "1.14.7";
/// The broker whose jars are fetched.
pub const KAFKA: &str = "4.0.0";
/// Debian's release, for all root file systems.
pub const DEBIAN: &str = "bookworm";

/// kind's name for the cluster; the kubeconfig's context is `kind-` and this.
pub const CLUSTER: &str = "todo-platform";
/// The node image that is built here, without its tag.
pub const NODE_IMAGE: &str = "local/todo-platform-node";
/// The namespace of Dapr's control plane.
pub const DAPR_NAMESPACE: &str = "dapr-system";
/// Pods' and Services' addresses (as `config/kind` says), to which the host has no way.
pub const UNREACHABLE_FROM_HOST: [&str; 2] = ["10.96.0.0/16", "10.244.0.0/16"];

/// Where everything lies.
#[derive(Debug, Clone)]
pub struct Settings {
    cache: PathBuf,
}

impl Settings {
    /// The cache of this user: `$TODO_PLATFORM_CACHE`, else `todo-platform` in `$XDG_CACHE_HOME` or `~/.cache`.
    pub fn from_env() -> Result<Self, Error> {
        let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        named("TODO_PLATFORM_CACHE")
            .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("todo-platform")))
            .or_else(|| named("HOME").map(|home| home.join(".cache/todo-platform")))
            .ok_or(Error::NoCache)
            .and_then(Self::in_folder)
    }

    /// A cache in this folder, which is made if need be.
    pub fn in_folder(cache: impl AsRef<Path>) -> Result<Self, Error> {
        let cache = std::path::absolute(cache.as_ref()).map_err(Error::file(cache.as_ref()))?;
        std::fs::create_dir_all(&cache).map_err(Error::file(&cache))?;
        Ok(Self { cache })
    }

    /// The cache folder itself.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// What was built, a folder for each tool and version.
    pub fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// A place for what is under construction. Never shared between runs: it is used under a lock.
    pub fn work(&self, name: &str) -> PathBuf {
        self.cache.join("work").join(name)
    }

    /// Whole output of long commands.
    pub fn log(&self, name: &str) -> PathBuf {
        self.cache.join("logs").join(format!("{name}.log"))
    }

    /// The kubeconfig of the cluster that was made here.
    pub fn kubeconfig(&self) -> PathBuf {
        self.cache.join("kubeconfig")
    }

    /// What a run leaves for the next: see `state.rs`.
    pub fn state(&self) -> PathBuf {
        self.cache.join("state.json")
    }

    /// The private Docker daemon's folder.
    pub fn docker(&self) -> PathBuf {
        self.cache.join("docker")
    }

    /// The folder of lock files.
    pub fn locks(&self) -> PathBuf {
        self.cache.join("locks")
    }

    /// Files that are built from or into images.
    pub fn assets() -> PathBuf {
        Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("e2e/assets")
    }

    /// `config/` of the checkout.
    pub fn config() -> PathBuf {
        Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("config")
    }
}
