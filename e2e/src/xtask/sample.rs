//! The sample platform: applied, waited for, and shown how to use.

use std::time::{Duration, Instant};

use kube::Api;
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    cluster::{Cluster, Settings},
    harness,
    progress::{Progress, Tail},
};

const NAMESPACE: &str = "todo";
const NAME: &str = "todo";
/// Where `config/kind` maps the page to.
const PAGE: &str = "http://127.0.0.1:8088";
const PAGE_LIMIT: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_mins(8);
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn ensure(cluster: &Cluster, progress: &Progress) -> anyhow::Result<()> {
    let step = progress.step("sample", "waiting for the sample platform to be Ready");
    let namespace = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n  labels:\n    \
         pod-security.kubernetes.io/enforce: restricted\n"
    );
    let apply = || cluster.kubectl().args(["apply", "--server-side", "-f"]);
    apply().arg("-").input(namespace).run().await?;
    let sample = Settings::config().join("samples/todoplatform.yaml");
    apply().arg(sample).args(["-n", NAMESPACE]).run().await?;
    if cluster.has_page_port() {
        apply().arg(Settings::config().join("kind/page.yaml")).run().await?;
    }
    super::renewal::ensure(cluster, NAMESPACE).await?;
    let client = harness::client(cluster.kubeconfig()).await?;
    if let Err(error) = wait(&Api::namespaced(client.clone(), NAMESPACE), step.tail()).await {
        progress.note(&harness::dump::namespace(&client, NAMESPACE).await);
        return Err(error);
    }
    if cluster.has_page_port() {
        // The way through the node's port is set up a moment after the pods are ready.
        harness::until("the page answers", PAGE_LIMIT, async || {
            let answer = reqwest::get(format!("{PAGE}/")).await?;
            Ok(answer.status().is_success().then_some(()))
        })
        .await?;
    }
    step.done();
    print!("{}", how_to_use(cluster));
    Ok(())
}

async fn wait(api: &Api<TodoPlatform>, tail: &Tail) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut last = "it has no condition yet".to_owned();
    while start.elapsed() < LIMIT {
        let platform = api.get(NAME).await?;
        let generation = platform.metadata.generation;
        let conditions = platform.status.map(|status| status.conditions).unwrap_or_default();
        let current = conditions.into_iter().find(|one| one.type_ == "Ready" && one.observed_generation == generation);
        if let Some(ready) = current {
            if ready.status == "True" {
                return Ok(());
            }
            last = format!("{}: {}", ready.reason, ready.message);
            tail.set(&last);
        }
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("the sample platform is not Ready after {}s; {last}", LIMIT.as_secs())
}

fn how_to_use(cluster: &Cluster) -> String {
    let url = if cluster.has_page_port() {
        PAGE.to_owned()
    } else {
        format!("{PAGE} (after: kubectl -n todo port-forward service/frontend-service 8088:80)")
    };
    let kubeconfig = cluster.kubeconfig().display();
    let (shell, remove) = if cluster.has_page_port() {
        let shell = "\n             (a shell with kubectl, helm and KUBECONFIG: eval \"$(cargo xtask env)\")";
        (shell, "cargo xtask down".to_owned())
    } else {
        let operator = super::operator::NAME;
        let platform = format!("kubectl --kubeconfig {kubeconfig} delete namespace {NAMESPACE}");
        ("", format!("{platform}\n             helm --kubeconfig {kubeconfig} uninstall {operator} -n {operator}"))
    };
    format!(
        "\nThe platform is Ready.\n\n  \
         Page       {url}\n  \
         Add a task curl -s {PAGE}/api/tasks -H 'content-type: application/json' \\\n               \
         -d '{{\"user_id\": \"ada\", \"title\": \"buy groceries\"}}'\n  \
         Chat       curl -s {PAGE}/api/chat -H 'content-type: application/json' \\\n               \
         -d '{{\"user_id\": \"ada\", \"message\": \"show my tasks\"}}'\n  \
         Status     kubectl --kubeconfig {kubeconfig} get todoplatforms -A{shell}\n  \
         Remove it  {remove}\n"
    )
}
