//! The node's root file system: a small Debian with systemd and containerd, stripped of all units that a container does
//! not need.

use std::{
    io::ErrorKind,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Build, ControlPlaneImages, Error, Settings};
use crate::cluster::{debian::Debian, settings};

const BASE: Debian = Debian {
    name: "node",
    variant: "minbase",
    packages: "systemd,systemd-sysv,containerd,runc,containernetworking-plugins,iptables,iproute2,conntrack,ethtool,socat,\
               procps,kmod,mount,util-linux,ca-certificates",
};

/// Network plugins that the node's configuration, or a person, may name; the package has many more.
const PLUGINS: [&str; 5] = ["ptp", "host-local", "loopback", "portmap", "bridge"];

/// Units that must not start in a container, by whichever way they are wanted.
const MASKED: [&str; 10] = [
    "systemd-binfmt.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-logind.service",
    "systemd-firstboot.service",
    "systemd-modules-load.service",
    "systemd-sysctl.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "getty.target",
    "console-getty.service",
];

/// Units of ours.
const ENABLED: [&str; 3] = ["containerd.service", "kubelet.service", "open-volumes.service"];

/// Changes whenever the unpacked base would.
pub(super) fn recipe() -> String {
    format!("{} {PLUGINS:?} {MASKED:?} {ENABLED:?}", BASE.recipe())
}

/// Puts Debian into the root folder.
pub(super) async fn unpack(build: &Build<'_>) -> Result<(), Error> {
    let base = BASE.archive(build.settings, build.tail).await?;
    let tar = build.command("tar").arg("-C").arg(&build.root).arg("-xf").arg(&base).arg("--exclude=./dev/*");
    build.run("unpacking Debian", tar).await?;
    for entry in list(&build.root.join("usr/lib/cni"))? {
        if !PLUGINS.iter().any(|plugin| entry.ends_with(plugin)) {
            std::fs::remove_file(&entry).map_err(Error::file(&entry))?;
        }
    }
    for folder in ["var/cache/apt", "var/lib/apt/lists"] {
        for entry in list(&build.root.join(folder))? {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// Adds our files and Kubernetes' programs, and decides what systemd starts.
pub(super) async fn add_node_files(build: &Build<'_>, images: &ControlPlaneImages) -> Result<(), Error> {
    let root = &build.root;
    let copy = build.command("cp").args(["-r", "--preserve=mode"]).arg(Settings::assets().join("node/.")).arg(root);
    build.run("copying its files", copy).await?;

    let config = root.join("etc/containerd/config.toml");
    let text = std::fs::read_to_string(&config).map_err(Error::file(&config))?;
    std::fs::write(&config, text.replace("@PAUSE_IMAGE@", images.of("pause")?)).map_err(Error::file(&config))?;
    let version = root.join("kind/version");
    std::fs::write(&version, format!("{}\n", settings::KUBERNETES)).map_err(Error::file(&version))?;

    let kubernetes = build.tools.kubernetes();
    let install = build.command("install").args(["-m", "755"]);
    let install = install.args(["kubelet", "kubectl", "kubeadm"].map(|program| kubernetes.join(program)));
    build.run("copying Kubernetes", install.arg(root.join("usr/bin"))).await?;
    let crictl = build.command("install").args(["-m", "755"]).arg(build.tools.mini_crictl());
    build.run("copying crictl", crictl.arg(root.join("usr/local/bin/crictl"))).await?;
    for folder in ["etc/kubernetes/manifests", "opt"] {
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    choose_units(root)
}

/// Only what a node needs may start: all stock links go, then ours come.
fn choose_units(root: &Path) -> Result<(), Error> {
    let (own, stock) = (root.join("etc/systemd/system"), root.join("lib/systemd/system"));
    for entry in list(&own)?.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "wants")) {
        remove(&entry)?;
    }
    for target in ["multi-user", "local-fs", "basic", "timers"] {
        remove(&stock.join(format!("{target}.target.wants")))?;
    }
    for link in list(&stock.join("sockets.target.wants"))? {
        let name = link.to_string_lossy();
        if name.contains("udev") || name.contains("initctl") {
            remove(&link)?;
        }
    }
    let wants = own.join("multi-user.target.wants");
    std::fs::create_dir_all(&wants).map_err(Error::file(&wants))?;
    for unit in ENABLED {
        link(&format!("/etc/systemd/system/{unit}"), &wants.join(unit))?;
    }
    for unit in MASKED {
        link("/dev/null", &own.join(unit))?;
    }
    link("/lib/systemd/system/multi-user.target", &own.join("default.target"))
}

fn link(target: &str, at: &Path) -> Result<(), Error> {
    remove(at)?;
    symlink(target, at).map_err(Error::file(at))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file(folder)(error)),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(Error::file(path))
}
