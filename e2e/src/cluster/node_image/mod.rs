//! The image of a node, for machines that can pull none: Debian, Kubernetes' programs, and the control plane's images
//! already in the node's store.

mod control_plane;
mod rootfs;
mod store;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{
    Error, Settings,
    docker::Docker,
    lock::Lock,
    settings,
    tools::{Tools, files_below, make_empty, remove_if_there},
};
use crate::{
    command::Command,
    progress::{Progress, Tail},
};

/// Builds the image unless this daemon has it, and returns its name.
pub(super) async fn ensure(
    settings: &Settings,
    tools: &Tools,
    docker: &Docker,
    progress: &Progress,
) -> Result<String, Error> {
    let _lock = Lock::acquire(settings, "node-image").await?;
    let image = name(tools)?;
    if docker.command().args(["image", "inspect", &image]).succeeds().await {
        progress.skip("node image: already built");
        return Ok(image);
    }
    let step = progress.step("node-image", format!("building the node image {image}"));
    let build = Build::new(settings, tools, step.tail())?;
    rootfs::unpack(&build).await?;
    let images = ControlPlaneImages::ask(tools).await?;
    rootfs::add_node_files(&build, &images).await?;
    let archives = control_plane::pack(&build, &images).await?;
    store::fill(&build, &archives, &images).await?;
    import(&build, docker, &image).await?;
    remove_if_there(&build.work)?;
    step.done();
    Ok(image)
}

/// The image's name has a hash of all that it is made from, so that a change of any of it makes a new one.
fn name(tools: &Tools) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(rootfs::recipe());
    let assets = Settings::assets();
    let mut files = vec![assets.join("pause.c")];
    files_below(&assets.join("node"), &mut files)?;
    let built = [tools.kubernetes(), tools.etcd(), tools.coredns(), tools.mini_crictl()];
    // What tools were built from stands beside them and is much quicker to read than they are.
    files.extend(built.iter().map(|path| if path.is_dir() { path.clone() } else { path.with_file_name("") }));
    files.iter_mut().filter(|path| path.is_dir()).for_each(|folder| *folder = folder.join(".inputs"));
    files.sort();
    for file in files {
        hash.update(file.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default());
        hash.update(std::fs::read(&file).map_err(Error::file(&file))?);
    }
    let hash = hex::encode(hash.finalize());
    Ok(format!("{}:{}-{}", settings::NODE_IMAGE, settings::KUBERNETES, &hash[..12]))
}

/// The places of one build of the image.
struct Build<'a> {
    settings: &'a Settings,
    tools: &'a Tools,
    tail: &'a Tail,
    work: PathBuf,
    root: PathBuf,
    log: PathBuf,
}

impl<'a> Build<'a> {
    fn new(settings: &'a Settings, tools: &'a Tools, tail: &'a Tail) -> Result<Self, Error> {
        let work = settings.work("node");
        make_empty(&work)?;
        let root = work.join("root");
        std::fs::create_dir(&root).map_err(Error::file(&root))?;
        Ok(Self { settings, tools, tail, work, root, log: settings.log("node-image") })
    }

    /// A command of this build: logged, and shown in its heartbeat.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        Command::new(program).log(&self.log).tail(self.tail).limit(std::time::Duration::from_mins(15))
    }

    async fn run(&self, what: &str, command: Command) -> Result<String, Error> {
        command.run().await.map_err(Error::step(format!("building the node image: {what}")))
    }
}

/// The names under which kubeadm of this release looks for its images.
struct ControlPlaneImages(Vec<String>);

impl ControlPlaneImages {
    async fn ask(tools: &Tools) -> Result<Self, Error> {
        let list = Command::new(tools.kubeadm()).args(["config", "images", "list"]);
        let list = list.args(["--kubernetes-version", settings::KUBERNETES]).run().await;
        Ok(Self(list.map_err(Error::step("asking kubeadm for its images"))?.lines().map(str::to_owned).collect()))
    }

    /// The whole name of the image of this component.
    fn of(&self, component: &str) -> Result<&str, Error> {
        let middle = format!("/{component}:");
        let found = self.0.iter().find(|image| image.contains(&middle)).map(String::as_str);
        found.ok_or_else(|| Error::NoCluster(format!("kubeadm {} names no image of {component}", settings::KUBERNETES)))
    }
}

async fn import(build: &Build<'_>, docker: &Docker, image: &str) -> Result<(), Error> {
    // A pipe between two programs is what a shell is for; a file between them would be a gigabyte.
    let script = "set -o pipefail; tar -C \"$1\" --numeric-owner -cf - . | docker import - \"$2\"";
    let pipe = docker.with_host(build.command("bash")).args(["-c", script, "import"]).arg(&build.root).arg(image);
    build.run("importing it", pipe).await?;
    // `docker import` cannot set a stop signal, and without it systemd in the node does not end.
    let dockerfile = format!(
        "FROM {image}\nENV container=docker\nSTOPSIGNAL SIGRTMIN+3\nENTRYPOINT [\"/usr/local/bin/node-entrypoint\"]\n"
    );
    let finish = docker.with_host(build.command("docker")).env("DOCKER_BUILDKIT", "0");
    build.run("setting its entry point", finish.args(["build", "-q", "-t", image, "-"]).input(dockerfile)).await?;
    Ok(())
}
