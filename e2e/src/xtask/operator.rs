//! The operator on a cluster, by its own chart.

use std::{path::Path, time::Duration};

use todo_e2e::{cluster::Cluster, images, progress::Progress};

/// Name of the release and of its namespace.
pub(super) const NAME: &str = "todo-operator";

/// Puts the images of this checkout on the nodes where that is possible, and installs the chart of this checkout.
pub(super) async fn ensure(cluster: &Cluster, progress: &Progress) -> anyhow::Result<()> {
    let image = if cluster.takes_images() {
        images::ensure(cluster, progress).await?
    } else {
        progress.note("the nodes pull the released images: only kind's nodes can be given images of this checkout");
        String::new()
    };
    let step = progress.step("operator", "installing the operator by its chart");
    let namespace = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAME}\n  labels:\n    \
         pod-security.kubernetes.io/enforce: restricted\n"
    );
    cluster.kubectl().args(["apply", "--server-side", "-f", "-"]).input(namespace).run().await?;
    let chart = Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("helm/todo-operator");
    let install = cluster.helm().args(["upgrade", "--install", NAME]).arg(chart);
    // The same tag may stand for another image than the last time; the pod has to notice.
    let content = format!("podAnnotations.todoplatform\\.dev/image={image}");
    // The CRD may be there already, from `todo-operator crd` or a release that was removed.
    let install = install.args(["--take-ownership", "--namespace", NAME, "--wait", "--timeout", "3m"]);
    let install = install.args(["--set-string", &content]);
    let installed = install.limit(Duration::from_mins(4)).log(cluster.settings().log("operator-install")).run().await;
    if installed.is_err() {
        let kubectl = || cluster.kubectl().args(["-n", NAME]);
        let pods = kubectl().args(["get", "pods,events"]).run().await.unwrap_or_default();
        let select = format!("app.kubernetes.io/name={NAME}");
        let logs = kubectl().args(["logs", "--tail=30", "-l", &select]).run().await.unwrap_or_default();
        progress.note(&format!("the operator's namespace:\n{pods}\nits last words:\n{logs}"));
    }
    installed?;
    step.done();
    Ok(())
}
