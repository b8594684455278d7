//! The programs of a control plane and the files that they are started with.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::cluster::Tools;

/// Lines of a log that an error shows.
const LAST_LINES: usize = 8;
/// The account of the chart's release of this name in the namespace of this name, as the API server would know it by its token.
pub(super) const ACCOUNT: &str = "system:serviceaccount:todo-operator:todo-operator";
const ACCOUNT_GROUPS: &str = "system:serviceaccounts,system:serviceaccounts:todo-operator";
/// What the API server writes down of that account's requests: as on the cluster.
const AUDIT: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/config/kind/audit.yaml");

/// Where everything of one control plane is.
pub(super) struct Places {
    folder: PathBuf,
    tools: Tools,
    database: u16,
    database_peers: u16,
    api_server: u16,
    /// Admission plugins that are asked besides those that always are.
    admission: &'static [&'static str],
}

impl Places {
    /// Chooses ports, and writes certificates, tokens and the kubeconfig.
    pub(super) fn prepare(tools: &Tools, folder: &Path, admission: &'static [&'static str]) -> anyhow::Result<Self> {
        let [database, database_peers, api_server] = free_ports()?;
        let places =
            Self { folder: folder.to_owned(), tools: tools.clone(), database, database_peers, api_server, admission };
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let own = rcgen::generate_simple_self_signed(names)?;
        places.write("server.crt", &own.cert.pem())?;
        places.write("server.key", &own.signing_key.serialize_pem())?;
        // Of accounts' tokens, which nobody uses; the API server does not start without.
        places.write("accounts.pub", &own.signing_key.public_key_pem())?;
        let [token, of_account] = std::array::from_fn(|_| uuid::Uuid::new_v4().to_string());
        let account = format!("{of_account},{ACCOUNT},{ACCOUNT},\"{ACCOUNT_GROUPS}\"");
        places.write("tokens.csv", &format!("{token},admin,admin,system:masters\n{account}\n"))?;
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "admin",
            "contexts": [
                {"name": "admin", "context": {"cluster": "bare", "user": "admin"}},
                {"name": ACCOUNT, "context": {"cluster": "bare", "user": ACCOUNT}},
            ],
            "clusters": [{"name": "bare", "cluster": {
                "server": format!("https://127.0.0.1:{api_server}"),
                "certificate-authority": places.path("server.crt"),
            }}],
            "users": [
                {"name": "admin", "user": {"token": token}},
                {"name": ACCOUNT, "user": {"token": of_account}},
            ],
        });
        places.write("kubeconfig", &kubeconfig.to_string())?;
        Ok(places)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.path("audit.log")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// What the API server and its database wrote last.
    pub(super) fn last_words(&self) -> String {
        let of = |program: &str| {
            let text = std::fs::read_to_string(self.path(&format!("{program}.log"))).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("{program}:\n{}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
        };
        [of("etcd"), of("kube-apiserver")].join("\n")
    }
}

/// The running programs; they end when this is dropped.
#[derive(Default)]
pub(super) struct Processes {
    // Dropped, and so ended, in this order.
    controllers: Option<Child>,
    api_server: Option<Child>,
    database: Option<Child>,
}

impl Processes {
    pub(super) fn start_database(&mut self, places: &Places) -> anyhow::Result<()> {
        let clients = format!("http://127.0.0.1:{}", places.database);
        let peers = format!("http://127.0.0.1:{}", places.database_peers);
        let mut etcd = Command::new(places.tools.etcd());
        etcd.arg("--data-dir").arg(places.path("etcd"));
        etcd.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        etcd.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        etcd.args(["--initial-cluster", &format!("default={peers}")]);
        // What it holds does not outlive it.
        etcd.arg("--unsafe-no-fsync");
        self.database = Some(spawn(etcd, &places.path("etcd.log"))?);
        Ok(())
    }

    pub(super) fn start_api_server(&mut self, places: &Places) -> anyhow::Result<()> {
        let mut server = Command::new(places.tools.kube_apiserver());
        server.arg(format!("--etcd-servers=http://127.0.0.1:{}", places.database));
        server.arg(format!("--secure-port={}", places.api_server));
        for (flag, file) in [
            ("tls-cert-file", "server.crt"),
            ("tls-private-key-file", "server.key"),
            ("token-auth-file", "tokens.csv"),
            ("service-account-key-file", "accounts.pub"),
            ("service-account-signing-key-file", "server.key"),
        ] {
            server.arg(format!("--{flag}={}", places.path(file).display()));
        }
        server.arg(format!("--audit-policy-file={AUDIT}"));
        server.arg(format!("--audit-log-path={}", places.audit_log().display()));
        server.args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            // Nobody makes accounts' tokens here, nobody says when a volume is no longer used, and there are no pods.
            "--disable-admission-plugins=ServiceAccount,StorageObjectInUseProtection",
        ]);
        server.args(places.admission.iter().map(|plugin| format!("--enable-admission-plugins={plugin}")));
        self.api_server = Some(spawn(server, &places.path("kube-apiserver.log"))?);
        Ok(())
    }

    pub(super) async fn kill_api_server(&mut self) -> anyhow::Result<()> {
        if let Some(mut server) = self.api_server.take() {
            server.kill().await?;
        }
        Ok(())
    }

    /// Only what removes things: other controllers would write to what tests look at.
    pub(super) fn start_controllers(&mut self, places: &Places) -> anyhow::Result<()> {
        let mut manager = Command::new(places.tools.kubernetes().join("kube-controller-manager"));
        manager.arg(format!("--kubeconfig={}", places.kubeconfig().display()));
        manager.args([
            "--controllers=garbage-collector-controller,namespace-controller",
            "--leader-elect=false",
            "--secure-port=0",
        ]);
        self.controllers = Some(spawn(manager, &places.path("kube-controller-manager.log"))?);
        Ok(())
    }
}

/// A child that ends with its handle, and whose output is kept.
pub(crate) fn spawn(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let file = File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
    command.spawn().with_context(|| format!("starting {}", command.as_std().get_program().display()))
}

/// Ports that nobody has at this moment, all held until all are chosen.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
