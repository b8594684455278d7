//! Programs from Go modules. A module of our own pins each, with the checksums of all that it depends on.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{Error, Settings, Tool};
use crate::{cluster::settings, command::Command, progress::Tail};

/// Kubernetes from empty caches takes eight minutes on two cores; a laptop on battery may take several times that.
const LIMIT: Duration = Duration::from_hours(1);

/// How a tool is built from its module.
pub(super) struct Module {
    name: &'static str,
    /// Packages whose programs are wanted.
    packages: Vec<String>,
    /// Flags of `go build`. They are part of the build cache's key: changing one makes everybody build everything again.
    flags: Vec<&'static str>,
    linker: String,
    /// A folder of the module that is kept beside the programs: (module, folder, name here).
    folder: Option<(&'static str, &'static str, &'static str)>,
}

impl Module {
    pub(super) fn of(tool: Tool) -> Self {
        let simple = |packages: &[&str]| Self {
            name: tool.name(),
            packages: packages.iter().map(|&package| package.to_owned()).collect(),
            flags: vec!["-trimpath"],
            linker: "-s -w".to_owned(),
            folder: None,
        };
        match tool {
            Tool::Kubernetes => kubernetes(),
            Tool::Dapr => dapr(),
            Tool::Etcd => simple(&["go.etcd.io/etcd/server/v3"]),
            Tool::CoreDns => simple(&["github.com/coredns/coredns"]),
            Tool::Kind => simple(&["sigs.k8s.io/kind"]),
            Tool::Helm => Self {
                linker: format!("-s -w -X helm.sh/helm/v3/internal/version.version=v{}", settings::HELM),
                ..simple(&["helm.sh/helm/v3/cmd/helm"])
            },
            Tool::RuncFit | Tool::MiniCrictl | Tool::Kafka => simple(&["."]),
        }
    }

    fn sources(&self) -> PathBuf {
        Settings::assets().join("go").join(self.name)
    }

    /// Changes whenever the result would.
    pub(super) fn inputs(&self) -> Result<String, Error> {
        let mut hash = Sha256::new();
        let sources = self.sources();
        let entries = std::fs::read_dir(&sources).map_err(Error::file(&sources))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            hash.update(file.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default());
            hash.update(std::fs::read(&file).map_err(Error::file(&file))?);
        }
        hash.update(format!("{:?} {:?} {} {:?}", self.packages, self.flags, self.linker, self.folder));
        Ok(hex::encode(hash.finalize()))
    }

    pub(super) async fn build(&self, build: &Path, out: &Path, log: &Path, tail: &Tail) -> Result<(), Error> {
        let step = || Error::step(format!("building {} from its Go module", self.name));
        let source = build.join("src");
        // A copy, because go writes to go.sum when it thinks that it knows better; the checkout must stay as it is.
        run(Command::new("cp").arg("-r").arg(self.sources()).arg(&source)).await.map_err(step())?;
        let go = |args: &[&str]| {
            let env = Command::new("go").env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod").env("GOWORK", "off");
            env.args(args).dir(&source).limit(LIMIT).log(log).tail(tail)
        };
        let build = go(&["build"]).args(&self.flags).args(["-ldflags", &self.linker]).arg("-o");
        // The trailing slash makes it a folder, for one program as for many.
        run(build.arg(format!("{}/", out.display())).args(&self.packages)).await.map_err(step())?;
        if let Some((module, folder, name)) = self.folder {
            let module = run(go(&["list", "-m", "-f", "{{.Dir}}", module])).await.map_err(step())?;
            // The module cache is read-only; its copy must not be, or it could not be replaced.
            let copy = Command::new("cp").args(["-r", "--no-preserve=mode"]).arg(Path::new(&module).join(folder));
            run(copy.arg(out.join(name))).await.map_err(step())?;
        }
        // etcd's package is called "server", but what one looks for is called etcd.
        let server = out.join("server");
        if self.name == "etcd" && server.exists() {
            std::fs::rename(&server, out.join("etcd")).map_err(Error::file(&server))?;
        }
        Ok(())
    }
}

async fn run(command: Command) -> Result<String, crate::command::Error> {
    command.run().await
}

fn kubernetes() -> Module {
    let programs =
        ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl", "kubeadm"];
    let minor = settings::KUBERNETES.split('.').nth(1).unwrap_or_default();
    let facts = [
        ("gitVersion", settings::KUBERNETES),
        ("gitMajor", "1"),
        ("gitMinor", minor),
        ("gitTreeState", "clean"),
        ("gitCommit", "unknown"),
        ("buildDate", "1970-01-01T00:00:00Z"),
    ];
    let linker = facts.map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}")).join(" ");
    Module {
        name: Tool::Kubernetes.name(),
        packages: programs.map(|program| format!("k8s.io/kubernetes/cmd/{program}")).to_vec(),
        flags: vec!["-trimpath"],
        linker: format!("-s -w {linker}"),
        folder: None,
    }
}

fn dapr() -> Module {
    let programs = ["daprd", "operator", "injector", "placement", "sentry", "scheduler"];
    let version = settings::DAPR;
    Module {
        name: Tool::Dapr.name(),
        packages: programs.map(|program| format!("github.com/dapr/dapr/cmd/{program}")).to_vec(),
        // What Dapr's own releases contain: its stable components.
        flags: vec!["-tags", "stablecomponents"],
        linker: format!(
            "-s -w -X github.com/dapr/dapr/pkg/buildinfo.version={version} -X github.com/dapr/kit/logger.DaprVersion={version}"
        ),
        folder: Some(("github.com/dapr/dapr", "charts/dapr", "chart")),
    }
}
