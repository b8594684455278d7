//! What `dapr init` and `dapr run -f` do, for machines without the Dapr CLI: Dapr's own processes, and for each app of a
//! run file the app and its sidecar, with the arguments and variables that the CLI (dapr/cli: `pkg/standalone/run.go`,
//! `pkg/runfileconfig`) gives them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};

use super::{http::Http, until};
use crate::cluster::Tools;

/// Not where `dapr init` has them, 50005 and 50006: an outgoing connection of any program may have these.
const PLACEMENT: u16 = 3530;
const SCHEDULER: u16 = 3531;
const HEALTHY_LIMIT: Duration = Duration::from_mins(2);
const LINES_OF_LOG: usize = 25;

/// A run file. A field that is not known here is an error, as it would not be done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    #[serde(rename = "version")]
    _version: u8,
    common: Common,
    apps: Vec<RunApp>,
    /// Its folder, which its paths are relative to.
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Common {
    resources_paths: Vec<PathBuf>,
    config_file_path: PathBuf,
    app_protocol: String,
    enable_api_logging: bool,
    log_level: String,
    env: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RunApp {
    #[serde(rename = "appID")]
    app_id: String,
    app_dir_path: PathBuf,
    app_port: u16,
    #[serde(rename = "daprHTTPPort")]
    dapr_http_port: u16,
    #[serde(rename = "daprGRPCPort")]
    dapr_grpc_port: u16,
    metrics_port: u16,
    app_max_concurrency: Option<u16>,
    command: Vec<String>,
    env: BTreeMap<String, String>,
}

impl RunApp {
    fn ports(&self) -> [u16; 4] {
        [self.app_port, self.dapr_http_port, self.dapr_grpc_port, self.metrics_port]
    }
}

impl RunFile {
    /// Reads `dapr.yaml` of a folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("dapr.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let run = serde_yaml::from_str::<Self>(&text).with_context(|| format!("in {}", path.display()))?;
        Ok(Self { folder: folder.canonicalize()?, ..run })
    }

    /// Fails with words about every port that is needed, be it by this file or besides, and that somebody else has, or two
    /// apps of this file.
    pub fn require_free_ports(&self, besides: &[u16]) -> anyhow::Result<()> {
        let ports = self.apps.iter().flat_map(RunApp::ports).chain([PLACEMENT, SCHEDULER]);
        let is_free = |port| TcpListener::bind(("0.0.0.0", port)).is_ok();
        let taken = taken(ports.chain(besides.iter().copied()), is_free);
        anyhow::ensure!(
            taken.is_empty(),
            "these ports have to be free on this machine, each for one program, and are taken: {taken:?}"
        );
        Ok(())
    }
}

/// The ports of these that somebody else has, or that are among these before.
fn taken(ports: impl Iterator<Item = u16>, is_free: impl Fn(u16) -> bool) -> Vec<u16> {
    let mut seen = BTreeSet::new();
    ports.filter(|&port| !seen.insert(port) || !is_free(port)).collect()
}

/// Processes that end when it is dropped.
pub struct Standalone {
    sidecars: Vec<(String, u16)>,
    processes: Vec<Process>,
    logs: PathBuf,
}

struct Process {
    name: String,
    /// To start it again by.
    command: Command,
    child: Child,
}

impl Standalone {
    /// Starts everything, with these variables beside those of this process, and with programs of this folder. Logs are
    /// kept in `logs`.
    pub fn start(
        tools: &Tools,
        run: &RunFile,
        variables: &BTreeMap<String, String>,
        programs: &Path,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let mut standalone = Self { sidecars: Vec::new(), processes: Vec::new(), logs: logs.to_owned() };
        standalone.spawn("placement", placement(tools))?;
        standalone.spawn("scheduler", scheduler(tools, logs))?;
        for app in &run.apps {
            let mut sidecar = sidecar(tools, run, app)?;
            sidecar.envs(variables);
            standalone.spawn(&format!("{}-daprd", app.app_id), sidecar)?;
            let mut command = command(run, app, programs)?;
            // What a file says goes before what `dapr run` was started with.
            command.envs(variables).envs(&run.common.env).envs(&app.env);
            standalone.spawn(&app.app_id, command)?;
            standalone.sidecars.push((app.app_id.clone(), app.dapr_http_port));
        }
        Ok(standalone)
    }

    fn spawn(&mut self, name: &str, mut command: Command) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.log(name))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        self.processes.push(Process { name: name.to_owned(), command, child });
        Ok(())
    }

    /// Starts again what has ended, as Kubernetes does; logs go on where they were.
    pub fn start_ended(&mut self) -> anyhow::Result<()> {
        for Process { name, command, child } in &mut self.processes {
            if !matches!(child.try_wait(), Ok(None)) {
                *child = command.spawn().with_context(|| format!("starting {name} again"))?;
            }
        }
        Ok(())
    }

    /// Sends a signal to a process, which is named as for [`Self::process`].
    pub fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let process =
            i32::try_from(self.process(name)?).ok().and_then(Pid::from_raw).context("no process has such an id")?;
        Ok(kill_process(process, signal)?)
    }

    /// The port at which an app's sidecar has its API.
    pub fn sidecar(&self, app: &str) -> anyhow::Result<u16> {
        let sidecar = self.sidecars.iter().find(|(of, _)| of == app);
        sidecar.map(|(_, port)| *port).with_context(|| format!("{app} has no sidecar"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Waits until every sidecar says that it is healthy.
    pub async fn healthy(&mut self) -> anyhow::Result<()> {
        for (app, port) in self.sidecars.clone() {
            let sidecar = &Http::local(port)?;
            let what = format!("the sidecar of {app} is healthy");
            let health = until(&what, HEALTHY_LIMIT, || {
                let ended = self.ended();
                async move {
                    match ended {
                        // Waiting any longer would be in vain.
                        Some(why) => Ok(Some(Err(anyhow::anyhow!("{why}")))),
                        None => Ok(Some(Ok(sidecar.get("/v1.0/healthz").await?.expect(204).map(drop)?))),
                    }
                }
            });
            health.await??;
        }
        Ok(())
    }

    /// The process of this name: an app's identity, or `<app>-daprd` for its sidecar.
    pub fn process(&self, name: &str) -> anyhow::Result<u32> {
        let process = self.processes.iter().find(|process| process.name == name);
        process.and_then(|process| process.child.id()).with_context(|| format!("{name} does not run"))
    }

    /// Which process has ended, and what it said of it.
    fn ended(&mut self) -> Option<String> {
        let ended = |process: &mut Process| !matches!(process.child.try_wait(), Ok(None));
        let name = self.processes.iter_mut().find_map(|process| ended(process).then(|| process.name.clone()))?;
        let log = std::fs::read_to_string(self.log(&name)).unwrap_or_default();
        Some(format!("{name} has ended: {}", complaint(&log).unwrap_or("without a word")))
    }

    /// The last lines of all logs, for a person who wants to know why a scenario failed.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        for Process { name, .. } in &self.processes {
            let log = std::fs::read_to_string(self.log(name)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES_OF_LOG)..];
            // Writing to a String cannot fail.
            let _ = writeln!(text, "--- {name}\n{}", last.join("\n"));
        }
        text
    }
}

/// The first line of a log that tells of an error, or else the last one.
fn complaint(log: &str) -> Option<&str> {
    let is_error = |line: &&str| line.to_lowercase().contains("error") || line.to_lowercase().contains("fatal");
    log.lines().find(is_error).or_else(|| log.lines().rfind(|line| !line.trim().is_empty()))
}

/// Its ports beside the first are those that `dapr init` publishes.
fn placement(tools: &Tools) -> Command {
    let mut command = Command::new(tools.dapr("placement"));
    command.args(["--listen-address", "127.0.0.1", "--port", &PLACEMENT.to_string()]);
    command.args(["--healthz-port", "58080", "--metrics-port", "59090"]);
    command
}

fn scheduler(tools: &Tools, folder: &Path) -> Command {
    let mut command = Command::new(tools.dapr("scheduler"));
    command.args(["--listen-address", "127.0.0.1", "--port", &SCHEDULER.to_string()]);
    command.args(["--override-broadcast-host-port", &format!("localhost:{SCHEDULER}")]);
    command.args(["--healthz-port", "58081", "--metrics-port", "59091", "--etcd-client-port", "52379"]);
    command.arg("--etcd-data-dir").arg(folder.join("scheduler"));
    command.arg("--identity-directory-write").arg(folder.join("scheduler-identity"));
    command
}

fn sidecar(tools: &Tools, run: &RunFile, app: &RunApp) -> anyhow::Result<Command> {
    let common = &run.common;
    let mut command = Command::new(tools.daprd());
    command.current_dir(run.folder.join(&app.app_dir_path)).env("DAPR_HOST_IP", "127.0.0.1");
    command.args(["--app-id", &app.app_id, "--app-protocol", &common.app_protocol, "--log-level", &common.log_level]);
    for (name, port) in [
        ("--app-port", app.app_port),
        ("--dapr-http-port", app.dapr_http_port),
        ("--dapr-grpc-port", app.dapr_grpc_port),
        ("--metrics-port", app.metrics_port),
        // Any that is free, as the CLI chooses it.
        ("--dapr-internal-grpc-port", TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port()),
    ] {
        command.args([name, &port.to_string()]);
    }
    let concurrency = app.app_max_concurrency.map_or_else(|| "-1".to_owned(), |most| most.to_string());
    command.args(["--app-max-concurrency", &concurrency]);
    command.arg("--config").arg(run.folder.join(&common.config_file_path));
    for path in &common.resources_paths {
        command.arg("--resources-path").arg(run.folder.join(path));
    }
    if common.enable_api_logging {
        command.arg("--enable-api-logging");
    }
    command.args(["--placement-host-address", &format!("localhost:{PLACEMENT}")]);
    command.args(["--scheduler-host-address", &format!("localhost:{SCHEDULER}")]);
    Ok(command)
}

/// Without the run file's variables.
fn command(run: &RunFile, app: &RunApp, programs: &Path) -> anyhow::Result<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path)))?;
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\"", "sh"]).args(&app.command);
    command.current_dir(run.folder.join(&app.app_dir_path)).env("PATH", path);
    command.env("APP_ID", &app.app_id).env("APP_PROTOCOL", &run.common.app_protocol);
    for (name, port) in [
        ("APP_PORT", app.app_port),
        ("DAPR_HTTP_PORT", app.dapr_http_port),
        ("DAPR_GRPC_PORT", app.dapr_grpc_port),
        ("DAPR_METRICS_PORT", app.metrics_port),
    ] {
        command.env(name, port.to_string());
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An app with these four ports.
    fn app(ports: [u16; 4]) -> RunApp {
        let [app_port, dapr_http_port, dapr_grpc_port, metrics_port] = ports;
        RunApp {
            app_id: String::new(),
            app_dir_path: PathBuf::new(),
            app_port,
            dapr_http_port,
            dapr_grpc_port,
            metrics_port,
            app_max_concurrency: None,
            command: Vec::new(),
            env: BTreeMap::new(),
        }
    }

    #[test]
    fn a_port_of_somebody_else_or_of_two_apps_is_told_of_before_one_of_them_fails_to_listen() {
        let apps = [app([8000, 3510, 3520, 9190]), app([8100, 3520, 3524, 9194])];
        let ports = || apps.iter().flat_map(RunApp::ports);
        assert_eq!(taken(ports().take(4), |_| true), [0_u16; 0]);
        assert_eq!(taken(ports().take(4), |port| port != 9190), [9190]);
        assert_eq!(taken(ports(), |_| true), [3520]);
    }
}
