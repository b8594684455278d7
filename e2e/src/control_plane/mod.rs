//! Kubernetes without nodes: an API server, its database and the garbage collector as processes on loopback, there in
//! seconds. Nothing runs pods, so what a test needs of that is written by the test.

mod assets;
mod processes;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Mutex;

pub(crate) use self::processes::spawn;
use self::processes::{ACCOUNT, Places, Processes};
use crate::{
    cluster::{Settings, Tools},
    harness::until,
};

/// How long a program may take to be at work.
const START: Duration = Duration::from_mins(1);

/// A control plane of its own, which ends when this is dropped.
pub struct ControlPlane {
    client: Client,
    places: Places,
    processes: Mutex<Processes>,
    /// Removed after the processes have ended: fields are dropped in this order.
    _folder: TempDir,
}

impl ControlPlane {
    /// Starts one, with the kinds of this project and of Dapr, and with an injector of Dapr that looks ready.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one whose API server asks these admission plugins, too.
    pub async fn start_with(admission: &'static [&'static str]) -> anyhow::Result<Self> {
        let tools = Tools::new(&Settings::from_env()?);
        anyhow::ensure!(
            tools.kube_apiserver().exists() && tools.etcd().exists(),
            "Kubernetes' programs are not built yet: `cargo xtask test faults` builds them"
        );
        let folder = tempfile::Builder::new().prefix("control-plane-").tempdir()?;
        let places = Places::prepare(&tools, folder.path(), admission)?;
        let mut processes = Processes::default();
        processes.start_database(&places)?;
        processes.start_api_server(&places)?;
        let client = client(&places.kubeconfig(), None).await?;
        ready(&client).await.with_context(|| places.last_words())?;
        assets::install(&client, &tools).await?;
        processes.start_controllers(&places)?;
        Ok(Self { client, places, processes: Mutex::new(processes), _folder: folder })
    }

    /// A client with all rights, which goes by no proxy.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client of the account that the chart makes, as release `todo-operator` in the namespace of that name. It has the
    /// rights that the chart grants, if it is installed.
    pub async fn account(&self) -> anyhow::Result<Client> {
        client(&self.kubeconfig(), Some(ACCOUNT)).await
    }

    /// What that account asked for until now: the audit log.
    pub fn audit_log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.places.audit_log())?)
    }

    /// The file by which programs reach it with all rights.
    pub fn kubeconfig(&self) -> PathBuf {
        self.places.kubeconfig()
    }

    /// Makes a namespace.
    pub async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        Api::all(self.client()).create(&PostParams::default(), &namespace).await?;
        Ok(())
    }

    /// Installs the definitions of another operator, `testdata/crds/NAME`, but not the operator.
    pub async fn install_kinds(&self, name: &str) -> anyhow::Result<()> {
        let folder = Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("e2e/testdata/crds").join(name);
        assets::define_all(&self.client, &folder).await
    }

    /// Ends the API server without warning and starts it again. Returns when it answers.
    pub async fn restart_api_server(&self) -> anyhow::Result<()> {
        let mut processes = self.processes.lock().await;
        processes.kill_api_server().await?;
        processes.start_api_server(&self.places)?;
        ready(&self.client).await.with_context(|| self.places.last_words())
    }
}

/// A client that repeats nothing by itself, of one of the file's contexts or of that which it names.
async fn client(kubeconfig: &Path, context: Option<&str>) -> anyhow::Result<Client> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &options).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn ready(client: &Client) -> anyhow::Result<()> {
    until("the API server is ready", START, || async {
        let answer = client.request_text(http::Request::get("/readyz").body(Vec::new())?).await?;
        Ok((answer == "ok").then_some(()))
    })
    .await
}
