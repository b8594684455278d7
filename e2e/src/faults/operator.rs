//! The operator's program, started again when it ends, as a kubelet does.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    control_plane::spawn,
    proxy::{Kill, Proxy},
};

/// The operator's program.
const PROGRAM: &str = "todo-operator";
/// Variable that names the folder of the programs as they are in the images. Benches look at these.
pub const PROGRAMS: &str = "TODO_PLATFORM_PROGRAMS";
/// How long a kubelet would wait at least before it starts a container anew.
const RESTART: Duration = Duration::from_millis(200);
/// How long a clean stop may take.
const STOP: Duration = Duration::from_secs(30);

/// An operator. It is killed when this is dropped.
pub struct Operator {
    ends: mpsc::Sender<End>,
    starts: Arc<AtomicUsize>,
    log: PathBuf,
    _supervisor: JoinSet<()>,
}

/// How a process is to end, without another one after it.
enum End {
    /// By SIGKILL.
    Killed(oneshot::Sender<()>),
    /// By SIGTERM.
    Stopped(oneshot::Sender<bool>),
}

/// What an operator is told besides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How often it lists everything anew, in seconds.
    pub relist: Option<u32>,
    /// URL of the collector that it sends spans to.
    pub collector: Option<String>,
    /// Namespace of its Lease; its own if absent, or `default` if it has all.
    pub lease_namespace: Option<String>,
    /// Name of another program that is the operator; it is beside the one that runs.
    pub program: Option<&'static str>,
    /// Port of loopback at which it tells of its health; any that is free if absent.
    pub management: Option<u16>,
}

/// What the operator is started with.
struct Start {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: Option<String>,
    identity: String,
    options: Options,
    log: PathBuf,
}

impl Operator {
    /// Starts it behind `proxy` for one namespace or all, with its files in `folder`. Those of the same namespace are
    /// replicas of one operator.
    pub fn start(proxy: &mut Proxy, folder: &Path, namespace: Option<&str>, identity: &str) -> anyhow::Result<Self> {
        Self::start_with(proxy, folder, namespace, identity, Options::default())
    }

    /// Starts one that is told something besides.
    pub fn start_with(
        proxy: &mut Proxy,
        folder: &Path,
        namespace: Option<&str>,
        identity: &str,
        options: Options,
    ) -> anyhow::Result<Self> {
        let place = namespace.unwrap_or("all");
        let kubeconfig = folder.join(format!("{place}-{identity}.kubeconfig"));
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "clusters": [{"name": "proxy", "cluster": {"server": proxy.url()}}],
            "users": [{"name": "proxy", "user": {}}],
        });
        std::fs::write(&kubeconfig, text.to_string())?;
        let log = folder.join(format!("{place}-{identity}.log"));
        let (namespace, identity) = (namespace.map(str::to_owned), identity.to_owned());
        let program = found(options.program.unwrap_or(PROGRAM))?;
        let start = Start { program, kubeconfig, namespace, identity, options, log: log.clone() };
        let kills = proxy.take_kills().context("a proxy has one operator")?;
        let (ends, receiver) = mpsc::channel(1);
        let starts = Arc::new(AtomicUsize::new(0));
        let mut supervisor = JoinSet::new();
        let child = start.child()?;
        supervisor.spawn(supervise(start, child, kills, receiver, Arc::clone(&starts)));
        Ok(Self { ends, starts, log, _supervisor: supervisor })
    }

    /// How often it was started anew.
    pub fn restarts(&self) -> usize {
        self.starts.load(Ordering::Relaxed)
    }

    /// Ends it by SIGKILL, for good.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let (done, is_done) = oneshot::channel();
        self.ends.send(End::Killed(done)).await?;
        Ok(is_done.await?)
    }

    /// Ends it as Kubernetes does, for good. It has to end by itself.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let (done, is_done) = oneshot::channel();
        self.ends.send(End::Stopped(done)).await?;
        anyhow::ensure!(is_done.await?, "it did not end well within {STOP:?}");
        Ok(())
    }

    /// How many lines that it wrote have these words.
    pub fn lines_with(&self, words: &str) -> usize {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter(|line| line.contains(words)).count()
    }

    /// The last lines that it wrote.
    pub fn last_words(&self, lines: usize) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Start {
    fn child(&self) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.program);
        let management = format!("127.0.0.1:{}", self.options.management.unwrap_or_default());
        command.args(["run", "--management-address", &management, "--log-format", "text"]);
        command.args(self.options.relist.map(|seconds| format!("--relist-seconds={seconds}")));
        command.args(self.options.collector.iter().map(|url| format!("--tracing-endpoint={url}")));
        let namespace = self.namespace.as_deref();
        let lease_namespace = self.options.lease_namespace.as_deref().or(namespace);
        command.args(["--lease-namespace", lease_namespace.unwrap_or("default")]);
        command.args(namespace.map(|namespace| format!("--watch-namespace={namespace}")));
        // The same after a restart, as a pod's name is.
        command.args(["--identity", &self.identity]);
        command.env_clear().env("KUBECONFIG", &self.kubeconfig).env("RUST_LOG", "info");
        spawn(command, &self.log)
    }
}

async fn supervise(
    start: Start,
    mut child: Child,
    mut kills: mpsc::Receiver<Kill>,
    mut ends: mpsc::Receiver<End>,
    starts: Arc<AtomicUsize>,
) {
    loop {
        tokio::select! {
            _ = child.wait() => {}
            Some(dead) = kills.recv() => {
                // It may have ended by itself at this moment.
                let _ = child.kill().await;
                let _ = dead.send(());
            }
            end = ends.recv() => {
                match end {
                    None => {}
                    Some(End::Killed(done)) => {
                        let _ = child.kill().await;
                        let _ = done.send(());
                    }
                    Some(End::Stopped(done)) => {
                        let _ = done.send(terminate(&mut child, &mut kills).await);
                    }
                }
                return;
            }
        }
        tokio::time::sleep(RESTART).await;
        starts.fetch_add(1, Ordering::Relaxed);
        match start.child() {
            Ok(next) => child = next,
            Err(_) => return,
        }
    }
}

/// Answers whether it ended by itself, and well. On its way it may still be killed.
async fn terminate(child: &mut Child, kills: &mut mpsc::Receiver<Kill>) -> bool {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if pid.is_none_or(|pid| kill_process(pid, Signal::TERM).is_err()) {
        return false;
    }
    let ends_well = async {
        tokio::select! {
            status = child.wait() => status.is_ok_and(|status| status.success()),
            Some(dead) = kills.recv() => {
                let _ = child.kill().await;
                let _ = dead.send(());
                false
            }
        }
    };
    tokio::time::timeout(STOP, ends_well).await.unwrap_or(false)
}

/// The operator's program: in the folder that is named by [`PROGRAMS`], or where cargo puts it.
///
/// # Errors
/// If it is not built.
pub fn program() -> anyhow::Result<PathBuf> {
    found(PROGRAM)
}

/// Cargo puts programs beside the one that runs, and tests below that.
fn found(name: &str) -> anyhow::Result<PathBuf> {
    let named = std::env::var_os(PROGRAMS).map(PathBuf::from);
    let own = std::env::current_exe()?;
    let folders = named.iter().map(PathBuf::as_path).chain(own.ancestors().skip(1).take(2));
    let program = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    program.with_context(|| {
        format!("{name} is not built: `cargo build --workspace --bins` does it; `cargo xtask test faults` builds the operator")
    })
}
