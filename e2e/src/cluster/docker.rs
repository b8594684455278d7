//! A container engine: the one that answers, else a private one below the cache that leaves nothing behind.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{Error, Settings, host::Before, lock::Lock, neighbours, tools::Tools};
use crate::command::Command;

/// Own address ranges, so that nothing meets those of another engine on the machine.
const BRIDGE: &str = "10.210.0.1/24";
const POOL: &str = "base=10.211.0.0/16,size=24";
/// What addresses of these ranges begin with.
pub(super) const ADDRESSES: [&str; 2] = ["10.210.", "10.211."];
/// Own root of cgroups, so that `down` knows which are ours.
pub(super) const CGROUP: &str = "todo-platform";

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// A Docker daemon that answers.
#[derive(Debug, Clone)]
pub struct Docker {
    host: Option<String>,
}

impl Docker {
    /// The daemon that this user's `docker` talks to, if it answers.
    pub async fn of_user() -> Option<Self> {
        Self { host: None }.if_it_answers().await
    }

    /// The daemon at this address, if it answers; none is the user's.
    pub(super) async fn at(host: Option<String>) -> Option<Self> {
        Self { host }.if_it_answers().await
    }

    async fn if_it_answers(self) -> Option<Self> {
        let version = self.command().args(["version", "--format", "{{.Server.Version}}"]);
        version.limit(Duration::from_secs(10)).succeeds().await.then_some(self)
    }

    /// `docker`, talking to this daemon.
    pub fn command(&self) -> Command {
        self.with_host(Command::new("docker"))
    }

    /// Makes another command that calls `docker` (kind, a shell) talk to this daemon.
    pub fn with_host(&self, command: Command) -> Command {
        match &self.host {
            Some(host) => command.env("DOCKER_HOST", host),
            None => command,
        }
    }

    /// What `DOCKER_HOST` has to be for this daemon; none where the default is right.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

/// The private daemon of a cache.
#[derive(Debug)]
pub(super) struct Private {
    folder: PathBuf,
    settings: Settings,
}

impl Private {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { folder: settings.docker(), settings: settings.clone() }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The process, if the one that the file names is there and really is a daemon of ours: the machine may have been
    /// restarted since, and the number given to another.
    fn process(&self) -> Option<Pid> {
        let number = std::fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        process_with(number, &self.pid_file())
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }

    /// The daemon if it runs, without starting it.
    pub(super) async fn running(&self) -> Option<Docker> {
        self.process()?;
        Docker::at(Some(self.host())).await
    }

    /// Starts the daemon unless it runs.
    pub(super) async fn start(&self, tools: &Tools) -> Result<Docker, Error> {
        let _lock = Lock::acquire(&self.settings, "docker").await?;
        if self.process().is_none() {
            neighbours::refuse_another(self.settings.cache())?;
            self.launch(tools).await?;
        }
        let docker = self.wait_for_answer().await?;
        if let Some(process) = self.process() {
            neighbours::remove_orphans(&docker, process).await;
        }
        Ok(docker)
    }

    async fn wait_for_answer(&self) -> Result<Docker, Error> {
        let answers = async {
            loop {
                if let Some(docker) = Docker::at(Some(self.host())).await {
                    return Some(docker);
                }
                self.process()?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        // A daemon that has died will not answer: no need to wait for the limit then.
        tokio::time::timeout(START_LIMIT, answers).await.ok().flatten().ok_or_else(|| Error::Timeout {
            what: "the private Docker daemon does not answer".to_owned(),
            limit: START_LIMIT,
            hint: format!("its last words are in {}", self.log().display()),
        })
    }

    async fn launch(&self, tools: &Tools) -> Result<(), Error> {
        std::fs::create_dir_all(&self.folder).map_err(Error::file(&self.folder))?;
        Before::record(&self.before()).await?;
        self.clear_remains().await;
        let log = std::fs::File::create(self.log()).map_err(Error::file(self.log()))?;
        let errors = log.try_clone().map_err(Error::file(self.log()))?;
        // In a session of its own: Ctrl-C in the terminal of the first run is not meant for it.
        let mut daemon = tokio::process::Command::new("setsid");
        daemon.args(["--fork", "dockerd", "--data-root"]).arg(self.folder.join("data"));
        daemon.arg("--exec-root").arg(self.folder.join("exec")).arg("--pidfile").arg(self.pid_file());
        daemon.args(["--host", &self.host(), "--bip", BRIDGE, "--default-address-pool", POOL]);
        daemon.args(["--cgroup-parent", &format!("/{CGROUP}")]);
        daemon
            .arg("--add-runtime")
            .arg(format!("fit={}", tools.runc_fit().display()))
            .args(["--default-runtime", "fit"]);
        daemon.stdin(Stdio::null()).stdout(log).stderr(errors);
        let started = daemon.status().await.map_err(Error::file("setsid"))?;
        if !started.success() {
            return Err(Error::NoCluster(format!("dockerd could not be started, see {}", self.log().display())));
        }
        // The daemon writes the file soon after; until then it cannot be told from one that died.
        let written = async {
            while self.process().is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), written).await.map_err(|_| {
            let last = std::fs::read_to_string(self.log()).unwrap_or_default();
            let last = last.lines().last().unwrap_or("it wrote nothing").to_owned();
            Error::NoCluster(format!("dockerd did not start: {last} (see {})", self.log().display()))
        })
    }

    /// A daemon that was killed, or lost with the machine, leaves the number of its containerd in a file; the next one
    /// believes the file, even when that process is gone or another has its number, and waits for it in vain.
    async fn clear_remains(&self) {
        let containerd = self.folder.join("exec/containerd");
        let number = containerd.join("containerd.pid");
        let config = containerd.join("containerd.toml");
        let left = std::fs::read_to_string(&number).ok().and_then(|text| text.trim().parse().ok());
        if let Some(process) = left.and_then(|number| process_with(number, &config)) {
            let _ = kill_process(process, Signal::KILL);
            let gone = ended(process);
            // Should it not end, the new daemon will say so better than we could.
            let _ = tokio::time::timeout(Duration::from_secs(5), gone).await;
        }
        let socket = containerd.join("containerd.sock");
        for stale in [self.pid_file(), self.socket(), number, socket] {
            let _ = std::fs::remove_file(stale);
        }
    }

    fn before(&self) -> PathBuf {
        self.folder.join("before.json")
    }

    /// Ends the daemon and takes back what it did to the machine. Images stay below the cache.
    pub(super) async fn stop(&self) -> Result<(), Error> {
        let _lock = Lock::acquire(&self.settings, "docker").await?;
        if let Some(process) = self.process() {
            // It may have ended in between, which is what is wanted.
            let _ = kill_process(process, Signal::TERM);
            tokio::time::timeout(STOP_LIMIT, ended(process)).await.map_err(|_| Error::Timeout {
                what: "the private Docker daemon has not ended".to_owned(),
                limit: STOP_LIMIT,
                hint: format!("see {}", self.log().display()),
            })?;
        }
        let was_started = self.before().exists();
        if was_started {
            super::host::clean(&self.before(), self.settings.cache()).await?;
        }
        Ok(())
    }
}

/// The process of this number, if it was started with this path as one of its arguments: numbers are given again.
fn process_with(number: i32, argument: &Path) -> Option<Pid> {
    let command = std::fs::read(format!("/proc/{number}/cmdline")).ok()?;
    let found = command.split(|&byte| byte == 0).any(|arg| arg == argument.as_os_str().as_encoded_bytes());
    Pid::from_raw(number).filter(|_| found)
}

/// Waits until a process that is not a child of ours has ended.
async fn ended(process: Pid) {
    while test_kill_process(process).is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Mounts below a folder, inner ones first.
pub(super) fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(folder)).collect();
    below.sort_by(|a, b| b.cmp(a));
    below
}
