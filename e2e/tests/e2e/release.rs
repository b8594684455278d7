//! The chart's releases on a cluster.

use std::{collections::BTreeSet, path::Path, time::Duration};

use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use todo_e2e::{
    cluster::Cluster,
    command::Command,
    harness::{Env, Namespace, Platform, until, wait},
    rights::{self, Release},
};

/// The release of `cargo xtask`, and its namespace.
const WHOLE: &str = "todo-operator";
/// The one for a single namespace, in the namespace of the other.
const SINGLE: &str = "todo-single";
/// What the chart has if nobody says otherwise.
const RELIST_SECONDS: &str = "1800";
const INSTALLED: Duration = Duration::from_mins(4);
const SOON: Duration = Duration::from_secs(20);
/// A pod has half a minute to end, and a Lease that was not given back a quarter.
const HANDED_OVER: Duration = Duration::from_mins(1);

/// `helm upgrade` with what was set before and more. A value that is null is taken back; helm's `--reuse-values` would
/// keep it.
fn upgrade(cluster: &Cluster, release: &str, settings: &[&str]) -> Command {
    let chart = Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("helm/todo-operator");
    let helm = cluster.helm().args(["upgrade", "--install", release]).arg(chart).args(["--namespace", WHOLE]);
    let helm = helm.args(["--reset-then-reuse-values", "--wait", "--timeout", "3m"]).limit(INSTALLED);
    helm.args(settings.iter().flat_map(|setting| ["--set", setting]))
}

/// A variable of the operator that a release runs.
async fn variable(env: &Env, release: &str, name: &str) -> anyhow::Result<Option<String>> {
    let deployment = Api::<Deployment>::namespaced(env.client.clone(), WHOLE).get(release).await?;
    let containers =
        deployment.spec.and_then(|spec| spec.template.spec).map(|spec| spec.containers).unwrap_or_default();
    let variables = containers.into_iter().flat_map(|container| container.env.unwrap_or_default());
    Ok(variables.into_iter().find(|one| one.name == name).and_then(|one| one.value))
}

/// Waits until the operator of the cluster that was there before has ended, and the new one leads. `helm` waits for the new one
/// to be ready only, while the other ends its passes.
async fn handed_over(env: &Env) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(env.client.clone(), WHOLE);
    let leases: Api<Lease> = Api::namespaced(env.client.clone(), WHOLE);
    until("the new operator leads and no other is there", HANDED_OVER, async || {
        let labels = ListParams::default().labels(&format!("app.kubernetes.io/instance={WHOLE}"));
        let pods = pods.list(&labels).await?;
        let holder = leases.get(WHOLE).await?.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        let is_the_only_one = pods.items.len() == 1 && pods.iter().all(|pod| holder.contains(&pod.name_any()));
        Ok(is_the_only_one.then_some(()))
    })
    .await
}

async fn pods(namespace: &Namespace) -> anyhow::Result<BTreeSet<String>> {
    Ok(namespace.api::<Pod>().list(&ListParams::default()).await?.iter().filter_map(ResourceExt::uid).collect())
}

/// Runs alone: the operator of all other scenarios is started anew with other settings.
#[tokio::test]
async fn one_namespace_can_have_an_operator_of_its_own_beside_the_one_of_the_cluster() {
    Namespace::with("release", async |namespace| {
        let cluster = namespace.env.cluster.clone();
        let result = an_operator_of_its_own(&namespace).await;
        let removed =
            cluster.helm().args(["uninstall", SINGLE, "--namespace", WHOLE, "--ignore-not-found"]).run().await;
        // Whatever happened, other scenarios need the operator as it was.
        upgrade(&cluster, WHOLE, &["excludedNamespaces=null", "relistSeconds=null"]).run().await?;
        removed?;
        let platform = result?;

        let env = &namespace.env;
        handed_over(env).await?;
        assert_eq!(variable(env, WHOLE, "EXCLUDED_NAMESPACES").await?, None);
        assert_eq!(variable(env, WHOLE, "RELIST_SECONDS").await?, Some(RELIST_SECONDS.to_owned()));
        let before = pods(&namespace).await?;
        let spec = json!({"monitoring": {"dashboard": {}}});
        Platform::apply(&namespace, &platform.name, spec).await?;
        until("the cluster's operator looks after the platform", SOON, async || {
            Ok(namespace.api::<ConfigMap>().get_opt("todo-platform-dashboard").await?.map(drop))
        })
        .await?;
        platform.ready().await?;
        assert_eq!(pods(&namespace).await?, before, "another operator is no reason to replace a pod");
        Ok(())
    })
    .await;
}

/// Up to a platform that is Ready by the operator of its namespace.
async fn an_operator_of_its_own(namespace: &Namespace) -> anyhow::Result<Platform> {
    let (env, cluster) = (&namespace.env, &namespace.env.cluster);
    let begun = jiff::Timestamp::now();
    let excluded = format!("excludedNamespaces={{{}}}", namespace.name);
    upgrade(cluster, WHOLE, &[&excluded, "relistSeconds=600"]).run().await?;
    handed_over(env).await?;
    let seconds = variable(env, WHOLE, "RELIST_SECONDS").await?;
    anyhow::ensure!(seconds.as_deref() == Some("600"), "the operator has another value: {seconds:?}");

    let platform = Platform::apply(namespace, "todo", json!({})).await?;
    wait::throughout("the cluster's operator leaves the namespace alone", Duration::from_secs(10), async || {
        Ok(platform.get().await?.status.is_none() && pods(namespace).await?.is_empty())
    })
    .await?;

    let watched = format!("watchNamespace={}", namespace.name);
    upgrade(cluster, SINGLE, &[&watched, "crds.enabled=false"]).run().await?;
    platform.ready().await?;

    let labels = format!("app.kubernetes.io/instance={SINGLE}");
    let of_the_cluster =
        cluster.kubectl().args(["get", "clusterroles,clusterrolebindings", "-o", "name", "-l", &labels]);
    let of_the_cluster = of_the_cluster.run().await?;
    anyhow::ensure!(of_the_cluster.is_empty(), "rights in the whole cluster: {of_the_cluster}");
    rights::check(cluster, Release { namespace: WHOLE, name: SINGLE }, begun, false).await?;
    let log = cluster.kubectl().args(["logs", "--namespace", WHOLE, &format!("deployment/{SINGLE}")]).run().await?;
    anyhow::ensure!(!log.contains("forbidden"), "the operator lacks a right: {log}");
    Ok(platform)
}

#[tokio::test]
async fn a_lease_that_somebody_deletes_is_made_again() {
    let env = Env::connect().await.expect("a cluster is up: run `cargo xtask up` first");
    let leases: Api<Lease> = Api::namespaced(env.client, WHOLE);
    let before = leases.get(WHOLE).await.unwrap().uid();
    leases.delete(WHOLE, &DeleteParams::default()).await.unwrap();
    until("the operator leads by another Lease", SOON, async || {
        let lease = leases.get_opt(WHOLE).await?.filter(|lease| lease.uid() != before);
        Ok(lease.and_then(|lease| lease.spec?.holder_identity).filter(|holder| !holder.is_empty()))
    })
    .await
    .unwrap();
}
