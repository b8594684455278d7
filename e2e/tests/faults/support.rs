//! What the tests share.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{coordination::v1::Lease, events::v1::Event},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::Value;
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    cluster::{Settings, Tools},
    command::Command,
    faults::{Action, Course, Ground, Operator, Options, SETTLED},
    harness::until,
    proxy::{Ledger, Proxy},
    rights::{self, Release},
};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Who uses the processors.
static PROCESSORS: RwLock<()> = RwLock::const_new(());

/// For tests that wait more than they work: some of them run at the same time.
pub(crate) async fn beside_others() -> RwLockReadGuard<'static, ()> {
    PROCESSORS.read().await
}

/// For one that takes all that the processors have.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    PROCESSORS.write().await
}

/// The life of a platform when nothing goes wrong. It is the same for all tests, so it is gone through once.
pub(crate) async fn undisturbed() -> anyhow::Result<&'static Course> {
    static COURSE: OnceCell<Course> = OnceCell::const_new();
    let live = async || Ground::start().await?.walk(0).await?.undisturbed(&Action::ALL).await;
    COURSE.get_or_try_init(live).await
}

/// What chance is made of: `SEED`, else a new one. It is printed, so that a run can be repeated.
pub(crate) fn seed() -> anyhow::Result<u64> {
    let seed = match std::env::var("SEED") {
        Ok(text) => text.parse()?,
        Err(_) => rand::random(),
    };
    println!("SEED={seed}");
    Ok(seed)
}

/// What was asked within `time` from now on.
pub(crate) async fn watch_for(time: Duration, proxy: &Proxy) -> Ledger {
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    proxy.ledger().since(begun)
}

/// The chart.
pub(crate) const CHART: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/helm/todo-operator");
/// Name of its release, and of the release's namespace and account.
pub(crate) const RELEASE: &str = "todo-operator";

/// A release of the chart on a bare control plane.
pub(crate) struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Helm {
    pub(crate) fn of(ground: &Ground) -> anyhow::Result<Self> {
        Ok(Self { program: Tools::new(&Settings::from_env()?).helm(), kubeconfig: ground.plane.kubeconfig() })
    }

    /// For what needs none.
    pub(crate) fn without_cluster() -> anyhow::Result<Self> {
        Ok(Self { program: Tools::new(&Settings::from_env()?).helm(), kubeconfig: PathBuf::new() })
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let helm = Command::new(&self.program).env("KUBECONFIG", &self.kubeconfig);
        Ok(helm.args(arguments).args(["--namespace", RELEASE]).limit(Duration::from_mins(1)).run().await?)
    }

    pub(crate) async fn upgrade(&self, chart: &Path) -> anyhow::Result<()> {
        let chart = chart.to_string_lossy();
        // The definition is there already, as it would be after an uninstall.
        let upgrade = ["upgrade", "--install", RELEASE, &chart, "--create-namespace", "--take-ownership"];
        self.run(&upgrade).await.map(drop)
    }
}

/// Rights that the chart grants, on a control plane that has it.
pub(crate) struct Granted {
    manifest: String,
}

impl Granted {
    pub(crate) async fn install(ground: &Ground) -> anyhow::Result<Self> {
        let helm = Helm::of(ground)?;
        helm.upgrade(Path::new(CHART)).await?;
        Ok(Self { manifest: helm.run(&["get", "manifest", RELEASE]).await? })
    }

    /// An operator that has them and no others, for all namespaces, and what it asks.
    pub(crate) async fn operator(&self, ground: &Ground) -> anyhow::Result<(Proxy, Operator)> {
        let mut proxy = Proxy::start(ground.plane.account().await?).await?;
        let options = Options { lease_namespace: Some(RELEASE.to_owned()), ..Options::default() };
        let operator = Operator::start_with(&mut proxy, ground.folder.path(), None, "operator", options)?;
        Ok((proxy, operator))
    }

    /// Fails unless nothing else was asked for, and on these resources all that only such a test can show.
    pub(crate) fn check(&self, ground: &Ground, resources: &[&str]) -> anyhow::Result<()> {
        let release = Release { namespace: RELEASE, name: RELEASE };
        let used = rights::check_elsewhere(&self.manifest, &ground.plane.audit_log()?, release, resources)?;
        println!("{used} rights on {}: all were used", resources.join(", "));
        Ok(())
    }
}

/// Makes, in a namespace, an object of somebody else's that is like one in another namespace.
pub(crate) async fn copy_as_stranger(
    client: &Client,
    resource: &ApiResource,
    name: &str,
    from: &str,
    to: &str,
) -> anyhow::Result<()> {
    let api = |namespace| Api::<DynamicObject>::namespaced_with(client.clone(), namespace, resource);
    let mut copy = DynamicObject::new(name, resource);
    copy.data["spec"] = api(from).get(name).await?.data["spec"].clone();
    api(to).create(&PostParams::default(), &copy).await?;
    Ok(())
}

/// Name of the definition of the resource.
pub(crate) const OURS: &str = "todoplatforms.todoplatform.dev";
/// Names of the definitions of Dapr's that a platform needs.
pub(crate) const DAPR: [&str; 3] = ["components.dapr.io", "configurations.dapr.io", "resiliencies.dapr.io"];

/// Definitions of kinds.
pub(crate) fn definitions(client: &Client) -> Api<CustomResourceDefinition> {
    Api::all(client.clone())
}

/// Deletes a definition, waits until it has gone, and returns it as somebody would make it again.
pub(crate) async fn remove(client: &Client, name: &str) -> anyhow::Result<CustomResourceDefinition> {
    let api = definitions(client);
    let mut definition = api.get(name).await?;
    api.delete(name, &DeleteParams::default()).await?;
    until(&format!("{name} is gone"), SETTLED, || async { Ok(api.get_opt(name).await?.is_none().then_some(())) })
        .await?;
    (definition.metadata.uid, definition.metadata.resource_version, definition.status) = (None, None, None);
    Ok(definition)
}

/// Name of an operator's Lease.
pub(crate) const LEASE: &str = "todo-operator";

/// The Leases of a namespace.
pub(crate) fn leases(ground: &Ground, namespace: &str) -> Api<Lease> {
    Api::namespaced(ground.client.clone(), namespace)
}

/// Who holds the Lease in a namespace; nobody if empty.
pub(crate) async fn holder(ground: &Ground, namespace: &str) -> anyhow::Result<String> {
    let lease = leases(ground, namespace).get(LEASE).await?;
    Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
}

/// A condition of the namespace's platform.
pub(crate) async fn condition(client: &Client, namespace: &str, kind: &str) -> anyhow::Result<Option<Condition>> {
    let api: Api<TodoPlatform> = Api::namespaced(client.clone(), namespace);
    let platform = api.list(&ListParams::default()).await?.items.into_iter().next();
    let conditions = platform.and_then(|platform| platform.status).map(|status| status.conditions).unwrap_or_default();
    Ok(conditions.into_iter().find(|one| one.type_ == kind))
}

/// Changes the spec of the platform in a namespace; what is null goes.
pub(crate) async fn change_spec(client: &Client, namespace: &str, spec: &Value) -> anyhow::Result<()> {
    let patch = serde_json::json!({"spec": spec});
    Ground::platforms(client, namespace).patch("todo", &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Waits for an event of this reason in a namespace, and says what it says.
pub(crate) async fn told(client: &Client, namespace: &str, reason: &str) -> anyhow::Result<String> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    until(&format!("an event {reason}"), SETTLED, || async {
        let events = api.list(&ListParams::default()).await?;
        let event = events.items.into_iter().find(|event| event.reason.as_deref() == Some(reason));
        Ok(event.map(|event| event.note.unwrap_or_default()))
    })
    .await
}

/// A port of loopback that nobody listens on.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Status and body of `/readyz`.
pub(crate) async fn readiness(port: u16) -> anyhow::Result<(u16, Value)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

/// Waits until `/readyz` says that it is.
pub(crate) async fn ready(port: u16) -> anyhow::Result<()> {
    until("it is ready", SETTLED, || async {
        let (status, body) = readiness(port).await?;
        anyhow::ensure!(status == 200 && body["ready"] == true && body["leader"] == true, "{status} {body}");
        Ok(Some(()))
    })
    .await
}

/// Waits until `/readyz` names one thing that is missing, and answers what is said of it.
pub(crate) async fn only_missing(port: u16, what: &str) -> anyhow::Result<String> {
    until(&format!("readiness names nothing but {what}"), SETTLED, || async {
        let (status, body) = readiness(port).await?;
        let missing: Vec<&str> = body["missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let [only] = missing.as_slice() else { anyhow::bail!("missing: {missing:?}") };
        anyhow::ensure!(status == 503 && body["ready"] == false, "{status} {body}");
        let (named, why) = only.split_once(": ").unwrap_or_default();
        anyhow::ensure!(named == what && !why.is_empty(), "{only}");
        Ok(Some(why.to_owned()))
    })
    .await
}
