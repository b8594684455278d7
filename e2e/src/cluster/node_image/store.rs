//! Puts images into the node's store with the node's own containerd, run from outside. They are left packed there: each
//! node unpacks them on its own volume, where overlayfs works.

use std::{path::Path, process::Stdio, time::Duration};

use super::{Build, ControlPlaneImages, Error, make_empty};
use crate::command::Command;

const START_LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn fill(
    build: &Build<'_>,
    archives: &[std::path::PathBuf],
    images: &ControlPlaneImages,
) -> Result<(), Error> {
    let state = build.work.join("containerd");
    make_empty(&state)?;
    let socket = state.join("c.sock");
    let mut containerd = start(build, &state, &socket)?;
    let filled = import(build, &socket, archives, images).await;
    // SIGTERM, so that it writes its database out.
    if let Some(id) = containerd.id() {
        let _ = Command::new("kill").arg(id.to_string()).run().await;
    }
    containerd.wait().await.map_err(Error::file(&socket))?;
    filled
}

fn start(build: &Build<'_>, state: &Path, socket: &Path) -> Result<tokio::process::Child, Error> {
    let config = state.join("config.toml");
    let text = format!(
        "version = 2\nroot = \"{root}/var/lib/containerd\"\nstate = \"{state}/run\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\", \
         \"io.containerd.internal.v1.restart\"]\n\
         [grpc]\naddress = \"{socket}\"\n[ttrpc]\naddress = \"{socket}.ttrpc\"\n",
        root = build.root.display(),
        state = state.display(),
        socket = socket.display(),
    );
    std::fs::write(&config, text).map_err(Error::file(&config))?;
    let log = build.settings.log("node-image-containerd");
    let output = std::fs::File::create(&log).map_err(Error::file(&log))?;
    let errors = output.try_clone().map_err(Error::file(&log))?;
    tokio::process::Command::new(build.root.join("usr/bin/containerd"))
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::file(&config))
}

async fn import(
    build: &Build<'_>,
    socket: &Path,
    archives: &[std::path::PathBuf],
    images: &ControlPlaneImages,
) -> Result<(), Error> {
    let ctr =
        || Command::new(build.root.join("usr/bin/ctr")).arg("-a").arg(socket).args(["-n", "k8s.io"]).log(&build.log);
    let answers = async {
        while !ctr().arg("version").succeeds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(START_LIMIT, answers).await.map_err(|_| Error::Timeout {
        what: "the containerd that fills the node image does not answer".to_owned(),
        limit: START_LIMIT,
        hint: format!("see {}", build.settings.log("node-image-containerd").display()),
    })?;
    for archive in archives {
        let import = ctr().args(["images", "import", "--all-platforms", "--no-unpack"]).arg(archive);
        build.run("filling its store", import.limit(Duration::from_mins(5)).tail(build.tail)).await?;
    }
    let stored = build.run("listing its store", ctr().args(["images", "list", "-q"])).await?;
    let missing: Vec<&str> =
        images.0.iter().map(String::as_str).filter(|&image| !stored.lines().any(|line| line == image)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::NoCluster(format!("the node image's store lacks {}", missing.join(", "))))
}
