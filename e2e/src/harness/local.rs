//! A platform on this machine without Kubernetes: the folder that `render --local` writes, and what its README says to do
//! with it. The cluster's engine and programs are used, the cluster itself is not.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use rustix::process::Signal;

use super::{
    http::Http,
    standalone::{RunFile, Standalone},
};
use crate::{
    cluster::{Cluster, Docker, Tool},
    command::Command,
    images,
    progress::Progress,
};

const PLATFORM: &str = "apiVersion: todoplatform.dev/v1alpha1\nkind: TodoPlatform\nmetadata: {name: todo}\nspec: {}\n";
/// What stands last in the README, and is done by [`Standalone`].
const RUN: &str = "env $(cat app.env) dapr run -f .";
/// Of Kafka and PostgreSQL.
const BACKING_PORTS: [u16; 2] = [9092, 5432];
const PAGE_PORT: u16 = 8080;

/// A rendered folder.
pub struct Rendered {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

/// A running platform; all of it ends when it is dropped.
pub struct LocalPlatform {
    standalone: Standalone,
    containers: Containers,
    // Dropped last: the others write to it.
    rendered: Rendered,
}

impl LocalPlatform {
    /// Renders an empty spec with the operator of this checkout.
    pub async fn render(cluster: &Cluster) -> anyhow::Result<Rendered> {
        let settings = cluster.settings();
        let page = images::page();
        anyhow::ensure!(
            page.join("index.html").is_file(),
            "the page has not been built: `cargo xtask up` does it, or `npm ci && npm run build` in {}",
            page.parent().unwrap_or(&page).display()
        );
        // Where Dapr's images are pulled, its programs are not there yet.
        cluster.tools().ensure(&[Tool::Dapr], &Progress::new(settings.cache())).await?;
        let rendered = Rendered { cluster: cluster.clone(), folder: tempfile::tempdir()? };
        let file = rendered.folder.path().join("platform.yaml");
        std::fs::write(&file, PLATFORM)?;
        let render = Command::new(images::programs(settings).join("todo-operator")).arg("render").arg("-f").arg(file);
        render.arg("--local").arg(rendered.path()).arg("--web-root").arg(page).run().await?;
        Ok(rendered)
    }

    /// Waits until every sidecar says that it is healthy.
    pub async fn healthy(&mut self) -> anyhow::Result<()> {
        self.standalone.healthy().await
    }

    /// The web page and the API behind it.
    pub fn page(&self) -> anyhow::Result<Http> {
        Http::local(PAGE_PORT)
    }

    /// The sidecar of an app, as the app reaches it.
    pub fn sidecar(&self, app: &str) -> anyhow::Result<Http> {
        Http::local(self.standalone.sidecar(app)?)
    }

    /// Where PostgreSQL is.
    pub fn database(&self) -> anyhow::Result<String> {
        self.rendered.database()
    }

    /// Sends a signal to the process of an app, or of its sidecar (`<app>-daprd`).
    pub fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        self.standalone.signal(name, signal)
    }

    /// Starts the processes again that have ended. Containers are not looked at.
    pub fn start_ended(&mut self) -> anyhow::Result<()> {
        self.standalone.start_ended()
    }

    /// `docker <verb> <container> <arguments>`, for the container of `kafka` or `postgres`.
    pub fn container(&self, verb: &str, of: &str, arguments: &[&str]) -> anyhow::Result<Command> {
        let begin = format!("todo-{of}-");
        let name = self.containers.names.iter().find(|name| name.starts_with(&begin));
        let name = name.with_context(|| format!("{of} has no container"))?;
        Ok(self.containers.docker.command().args([verb, name]).args(arguments))
    }

    /// The process of an app, or of its sidecar (`<app>-daprd`).
    pub fn process(&self, name: &str) -> anyhow::Result<u32> {
        self.standalone.process(name)
    }

    /// The last lines of all logs, for a person who wants to know what went wrong.
    pub fn dump(&self) -> String {
        self.standalone.dump()
    }
}

impl Rendered {
    /// The folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("local")
    }

    /// Where PostgreSQL is.
    pub fn database(&self) -> anyhow::Result<String> {
        let path = self.path().join("secrets.json");
        let secrets: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let url = secrets.pointer("/postgres-connection/connection-string").and_then(serde_json::Value::as_str);
        Ok(url.context("secrets.json has no connection string")?.to_owned())
    }

    /// Lets users name this port of this machine for webhooks, which no platform on a cluster does.
    pub fn allow_webhooks(&self, port: &serde_json::Value) -> anyhow::Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path().join("app.env"))?;
        Ok(write!(file, "WEBHOOK_ADDRESSES=loopback\nWEBHOOK_PORTS={port}\n")?)
    }

    /// Does what its README says, with the services as they were built for images.
    pub async fn start(self) -> anyhow::Result<LocalPlatform> {
        let programs = images::programs(self.cluster.settings());
        self.start_with(&programs).await
    }

    /// Does what its README says, with the services' programs in this folder.
    pub async fn start_with(self, programs: &Path) -> anyhow::Result<LocalPlatform> {
        let folder = self.path();
        let run = RunFile::read(&folder)?;
        run.require_free_ports(&BACKING_PORTS)?;
        let (commands, containers) = Containers::of_readme(self.cluster.docker().context("no engine")?, &folder)?;
        for command in commands {
            command.run().await?;
        }
        let variables = variables(&folder.join("app.env"))?;
        let tools = self.cluster.tools();
        let standalone = Standalone::start(tools, &run, &variables, programs, self.folder.path())?;
        Ok(LocalPlatform { standalone, containers, rendered: self })
    }
}

/// As `env $(cat app.env)` has it.
fn variables(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file)?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Containers that go when it is dropped.
struct Containers {
    docker: Docker,
    names: Vec<String>,
}

impl Containers {
    /// The commands of the README that come before `dapr run`, with names that nobody else has.
    fn of_readme(docker: &Docker, rendered: &Path) -> anyhow::Result<(Vec<Command>, Self)> {
        let readme = std::fs::read_to_string(rendered.join("README.md"))?;
        let mut lines: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        let last = lines.pop().context("the README has no commands")?;
        anyhow::ensure!(last == RUN, "the README ends with `{last}`");
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let mut names = Vec::new();
        let mut commands = Vec::new();
        for line in lines {
            let mut line = line.to_owned();
            for name in ["todo-kafka", "todo-postgres"] {
                let own = format!("{name}-{suffix}");
                if line.contains(name) && !names.contains(&own) {
                    names.push(own.clone());
                }
                line = line.replace(name, &own);
            }
            let command = docker.with_host(Command::new("sh")).arg("-c").arg(line).limit(Duration::from_mins(3));
            commands.push(command);
        }
        Ok((commands, Self { docker: docker.clone(), names }))
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let mut remove = std::process::Command::new("docker");
        remove.args(["rm", "--force", "--volumes"]).args(&self.names);
        remove.envs(self.docker.host().map(|host| ("DOCKER_HOST", host)));
        // None may be there.
        let _ = remove.output();
    }
}
