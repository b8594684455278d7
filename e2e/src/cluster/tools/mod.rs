//! The programs that the environment and the tests use, each built once and kept in the cache under its version.
//!
//! All come from language registries (Go modules, Maven), so no image registry and no download site is needed. Go's
//! modules are pinned with their checksums in `e2e/assets/go`.

mod go;
mod kafka;

use std::path::{Path, PathBuf};

use super::{Error, Settings, lock::Lock, settings};
use crate::progress::{Progress, Tail};

/// Something that is built as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Every program of Kubernetes.
    Kubernetes,
    /// The cluster's database.
    Etcd,
    /// The cluster's name server.
    CoreDns,
    /// Makes clusters of containers.
    Kind,
    /// Installs charts.
    Helm,
    /// Dapr's sidecar and control plane, and its chart.
    Dapr,
    /// The broker's jars.
    Kafka,
    /// Lets privileged containers start where the machine lacks a capability.
    RuncFit,
    /// Answers kind's questions on a node.
    MiniCrictl,
}

impl Tool {
    /// All that an offline cluster is made from, the slowest first.
    pub const OFFLINE_CLUSTER: [Self; 8] = [
        Self::Kubernetes,
        Self::Dapr,
        Self::Etcd,
        Self::CoreDns,
        Self::Helm,
        Self::Kind,
        Self::MiniCrictl,
        Self::RuncFit,
    ];

    /// All that is built here when images can be pulled.
    pub const ONLINE_CLUSTER: [Self; 2] = [Self::Helm, Self::Kind];

    fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Etcd => "etcd",
            Self::CoreDns => "coredns",
            Self::Kind => "kind",
            Self::Helm => "helm",
            Self::Dapr => "dapr",
            Self::Kafka => "kafka",
            Self::RuncFit => "runc-fit",
            Self::MiniCrictl => "mini-crictl",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Kubernetes => settings::KUBERNETES,
            Self::Etcd => settings::ETCD,
            Self::CoreDns => settings::COREDNS,
            Self::Kind => settings::KIND,
            Self::Helm => settings::HELM,
            Self::Dapr => settings::DAPR,
            Self::Kafka => settings::KAFKA,
            Self::RuncFit | Self::MiniCrictl => env!("CARGO_PKG_VERSION"),
        }
    }
}

/// The built programs, by name.
#[derive(Debug, Clone)]
pub struct Tools {
    settings: Settings,
}

impl Tools {
    /// The tools in a cache. Whether they are built yet is another matter: see [`Tools::ensure`].
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }

    /// Builds what is not in the cache yet, each as one step of the progress.
    pub async fn ensure(&self, wanted: &[Tool], progress: &Progress) -> Result<(), Error> {
        for &tool in wanted {
            self.ensure_one(tool, progress).await?;
        }
        Ok(())
    }

    async fn ensure_one(&self, tool: Tool, progress: &Progress) -> Result<(), Error> {
        let (name, version) = (tool.name(), tool.version());
        let _lock = Lock::acquire(&self.settings, name).await?;
        let inputs = match tool {
            Tool::Kafka => kafka::inputs(),
            _ => go::Module::of(tool).inputs()?,
        };
        let folder = self.folder(tool);
        if std::fs::read_to_string(folder.join(INPUTS)).is_ok_and(|built_from| built_from == inputs) {
            progress.skip(&format!("{name} {version}: in the cache"));
            return Ok(());
        }
        let step = progress.step(name, format!("building {name} {version}"));
        let build = self.settings.work(name);
        make_empty(&build)?;
        let out = build.join("out");
        std::fs::create_dir(&out).map_err(Error::file(&out))?;
        self.build(tool, &build, &out, step.tail()).await?;
        let mark = out.join(INPUTS);
        std::fs::write(&mark, inputs).map_err(Error::file(&mark))?;
        // Only whole results get the name that others look for.
        remove_if_there(&folder)?;
        std::fs::create_dir_all(self.settings.tools()).map_err(Error::file(&folder))?;
        std::fs::rename(&out, &folder).map_err(Error::file(&folder))?;
        remove_if_there(&build)?;
        step.done();
        Ok(())
    }

    async fn build(&self, tool: Tool, build: &Path, out: &Path, tail: &Tail) -> Result<(), Error> {
        let log = self.settings.log(tool.name());
        match tool {
            Tool::Kafka => kafka::fetch(build, out, &log, tail).await,
            _ => go::Module::of(tool).build(build, out, &log, tail).await,
        }
    }

    fn folder(&self, tool: Tool) -> PathBuf {
        self.settings.tools().join(format!("{}-{}", tool.name(), tool.version()))
    }

    /// The folder of every program of Kubernetes.
    pub fn kubernetes(&self) -> PathBuf {
        self.folder(Tool::Kubernetes)
    }

    /// The Kubernetes command line.
    pub fn kubectl(&self) -> PathBuf {
        let built = self.kubernetes().join("kubectl");
        // Where images are pulled, it comes out of the node image and nothing else of Kubernetes is needed.
        if built.exists() { built } else { self.pulled_kubectl() }
    }

    pub(super) fn pulled_kubectl(&self) -> PathBuf {
        self.settings.tools().join("kubectl-pulled/kubectl")
    }

    /// Kubernetes' API server, for tests without a cluster.
    pub fn kube_apiserver(&self) -> PathBuf {
        self.kubernetes().join("kube-apiserver")
    }

    /// The set-up tool, which also knows the names of the control plane's images.
    pub fn kubeadm(&self) -> PathBuf {
        self.kubernetes().join("kubeadm")
    }

    /// The cluster's database.
    pub fn etcd(&self) -> PathBuf {
        self.folder(Tool::Etcd).join("etcd")
    }

    /// The cluster's name server.
    pub fn coredns(&self) -> PathBuf {
        self.folder(Tool::CoreDns).join("coredns")
    }

    /// Makes clusters of containers.
    pub fn kind(&self) -> PathBuf {
        self.folder(Tool::Kind).join("kind")
    }

    /// Installs charts.
    pub fn helm(&self) -> PathBuf {
        self.folder(Tool::Helm).join("helm")
    }

    /// Dapr's sidecar; also runs by itself, for local development.
    pub fn daprd(&self) -> PathBuf {
        self.dapr("daprd")
    }

    /// Dapr's certificate authority.
    pub fn sentry(&self) -> PathBuf {
        self.dapr("sentry")
    }

    /// A program of Dapr: `daprd`, `operator`, `injector`, `placement`, `sentry` or `scheduler`.
    pub fn dapr(&self, program: &str) -> PathBuf {
        self.folder(Tool::Dapr).join(program)
    }

    /// Dapr's own Helm chart.
    pub fn dapr_chart(&self) -> PathBuf {
        self.folder(Tool::Dapr).join("chart")
    }

    /// The folder of the broker's jars.
    pub fn kafka_jars(&self) -> PathBuf {
        self.folder(Tool::Kafka).join("libs")
    }

    /// What the broker's jars were chosen by.
    pub(crate) fn kafka_built_from(&self) -> Result<String, Error> {
        let inputs = self.folder(Tool::Kafka).join(INPUTS);
        std::fs::read_to_string(&inputs).map_err(Error::file(&inputs))
    }

    pub(super) fn runc_fit(&self) -> PathBuf {
        self.folder(Tool::RuncFit).join("runc-fit")
    }

    pub(super) fn mini_crictl(&self) -> PathBuf {
        self.folder(Tool::MiniCrictl).join("mini-crictl")
    }

    /// Folders that a person's shell wants in its PATH: kind, helm, kubectl and Dapr's programs.
    pub fn path(&self) -> Vec<PathBuf> {
        let programs = [self.kubectl(), self.kind(), self.helm(), self.daprd()];
        programs.iter().filter_map(|program| program.parent().map(Path::to_owned)).collect()
    }
}

/// A file beside the built programs that says what they were built from.
const INPUTS: &str = ".inputs";

/// Makes a folder that has nothing in it.
pub(crate) fn make_empty(folder: &Path) -> Result<(), Error> {
    remove_if_there(folder)?;
    std::fs::create_dir_all(folder).map_err(Error::file(folder))
}

/// Removes a folder with all that is in it.
pub(crate) fn remove_if_there(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(folder)(error)),
        _ => Ok(()),
    }
}

/// All files of a folder and of those in it.
pub(crate) fn files_below(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        if path.is_dir() {
            files_below(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_modules_are_of_the_versions_that_the_settings_name() {
        for (tool, requirement) in [
            (Tool::Kubernetes, "k8s.io/kubernetes "),
            (Tool::Dapr, "github.com/dapr/dapr v"),
            (Tool::Etcd, "go.etcd.io/etcd/server/v3 v"),
            (Tool::CoreDns, "github.com/coredns/coredns v"),
            (Tool::Helm, "helm.sh/helm/v3 v"),
            (Tool::Kind, "sigs.k8s.io/kind v"),
        ] {
            let file = Settings::assets().join("go").join(tool.name()).join("go.mod");
            let text = std::fs::read_to_string(&file).unwrap();
            let line = format!("{requirement}{}", tool.version());
            assert!(text.contains(&line), "{} does not say {line}", file.display());
        }
    }
}
