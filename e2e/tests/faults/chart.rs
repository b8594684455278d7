//! The chart with all that it can make, before an API server that knows every kind of it.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
    discovery::{Discovery, Scope},
};
use serde::Deserialize;
use serde_json::{Value, json};
use todo_e2e::faults::Ground;

use crate::support::{CHART, Helm, RELEASE, beside_others};

/// Every value that is empty or off by default; which namespaces, the releases say themselves.
fn everything() -> Value {
    json!({
        "image": {"tag": "1.2.3"},
        "imagePullSecrets": ["registry"],
        "monitoring": {
            "serviceMonitor": {"enabled": true, "interval": "30s", "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": true, "labels": {"grafana_dashboard": "1", "team": "todo"}},
        },
        "apiServerCidrs": ["10.96.0.1/32", "fd00::/8"],
        "tracing": {"endpoint": "http://collector.observability:4318", "samplingRate": 0.5},
        "podAnnotations": {"example.com/team": "todo"},
        "podLabels": {"team": "todo"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"team": "todo"}}},
        ]}},
        "priorityClassName": "system-cluster-critical",
    })
}

/// Paths of values that are empty or off.
fn unset(values: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(fields) = values.as_object().filter(|fields| !fields.is_empty()) {
        for (name, value) in fields {
            unset(value, &format!("{path}/{name}"), found);
        }
    } else if [json!(false), json!(""), json!([]), json!({}), Value::Null].contains(values) {
        found.insert(path.to_owned());
    }
}

#[test]
fn every_value_that_is_off_by_default_is_on_in_these_tests() {
    let file = std::fs::read_to_string(Path::new(CHART).join("values.yaml")).unwrap();
    let mut off = BTreeSet::new();
    unset(&serde_yaml::from_str(&file).unwrap(), "", &mut off);
    let values = everything();
    off.retain(|path| values.pointer(path).is_none());
    let of_releases = ["/excludedNamespaces", "/watchNamespace"].map(str::to_owned);
    assert_eq!(off, of_releases.into());
}

#[tokio::test]
async fn values_that_are_wrong_or_unknown_are_refused_by_their_names() -> anyhow::Result<()> {
    let (helm, folder) = (Helm::without_cluster()?, tempfile::tempdir()?);
    let file = folder.path().join("values.json");
    let template = async |values: &Value| {
        std::fs::write(&file, values.to_string())?;
        helm.run(&["template", RELEASE, CHART, "--values", &file.to_string_lossy(), "--kube-version", "v1.34.0"]).await
    };
    template(&everything()).await?;
    template(
        &json!({"log": {"level": "info,kube=WARN"}, "apiServerCidrs": ["255.0.0.0/8", "::/0", "::ffff:10.0.0.1/128"]}),
    )
    .await?;
    for (values, name) in [
        (json!({"relistSeconds": 1}), "relistSeconds"),
        (json!({"imageRegistry": "registry.example.com/"}), "imageRegistry"),
        (json!({"image": {"pullPolicy": "Sometimes"}}), "pullPolicy"),
        (json!({"monitoring": {"serviceMonitor": {"interval": "often"}}}), "interval"),
        (json!({"watchNamespaces": "team"}), "watchNamespaces"),
        (json!({"watchNamespace": "Bad_NS"}), "watchNamespace"),
        (json!({"daprNamespace": "Bad_NS"}), "daprNamespace"),
        (json!({"apiServerCidrs": ["10.0.0.0/99"]}), "apiServerCidrs"),
        (json!({"apiServerCidrs": ["10.0.0.256/8"]}), "apiServerCidrs"),
        (json!({"apiServerCidrs": ["fd00::/129"]}), "apiServerCidrs"),
        (json!({"log": {"level": "inof"}}), "level"),
        (json!({"log": {"level": "info,kube=wran"}}), "level"),
        (json!({"podLabels": {"app.kubernetes.io/instance": "mine"}}), "app.kubernetes.io/instance"),
    ] {
        let said = match template(&values).await {
            Ok(_) => anyhow::bail!("{values} is taken"),
            Err(error) => format!("{error:#}"),
        };
        anyhow::ensure!(said.contains("schema") && said.contains(name), "{values}: {said}");
    }
    Ok(())
}

/// What the chart makes of these settings, without a cluster, as a release of this name.
async fn without_cluster(release: &str, settings: &[&str]) -> anyhow::Result<Vec<DynamicObject>> {
    let template = ["template", release, CHART, "--kube-version", "v1.34.0"];
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    parse(&Helm::without_cluster()?.run(&template.into_iter().chain(set).collect::<Vec<_>>()).await?)
}

fn parse(text: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        documents.extend(Option::<DynamicObject>::deserialize(document)?);
    }
    Ok(documents)
}

/// Those of a kind.
fn of_kind<'a>(documents: &'a [DynamicObject], kind: &str) -> Vec<&'a DynamicObject> {
    documents.iter().filter(|one| one.types.as_ref().is_some_and(|types| types.kind == kind)).collect()
}

#[tokio::test]
async fn a_value_that_an_older_release_did_not_store_is_the_usual_one() -> anyhow::Result<()> {
    for (rate, expected) in [("null", "1"), ("0", "0"), ("0.5", "0.5")] {
        let rate = format!("tracing.samplingRate={rate}");
        let documents = without_cluster(RELEASE, &["tracing.endpoint=http://collector:4318", &rate]).await?;
        let deployment = of_kind(&documents, "Deployment").pop().unwrap();
        let container = &deployment.data["spec"]["template"]["spec"]["containers"][0];
        let variables = container["env"].as_array().cloned().unwrap_or_default();
        let given = variables.iter().find(|one| one["name"] == "TRACING_SAMPLING_RATE").unwrap();
        assert_eq!(given["value"], expected, "{rate}");
    }
    Ok(())
}

#[tokio::test]
async fn users_have_roles_for_the_cluster_and_for_one_namespace() -> anyhow::Result<()> {
    for (settings, kind, namespace) in
        [(&[][..], "ClusterRole", None), (&["watchNamespace=team"], "Role", Some("team"))]
    {
        let documents = without_cluster(RELEASE, settings).await?;
        for name in ["todo-operator-edit", "todo-operator-view"] {
            let roles = of_kind(&documents, kind);
            let role = roles.iter().find(|role| role.metadata.name.as_deref() == Some(name)).unwrap();
            assert_eq!(role.metadata.namespace.as_deref(), namespace, "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn two_releases_have_alerts_and_dashboards_of_their_own() -> anyhow::Result<()> {
    let settings = ["monitoring.prometheusRule.enabled=true", "monitoring.dashboard.enabled=true"];
    let mut dashboards = BTreeSet::new();
    for release in ["one", "other"] {
        let documents = without_cluster(release, &settings).await?;
        let alerts = of_kind(&documents, "PrometheusRule").pop().unwrap().data["spec"]["groups"][0]["rules"].clone();
        let own = format!("{{namespace=\"{RELEASE}\", pod=~\"{release}-[^-]+(-[^-]+)?\"");
        for alert in alerts.as_array().unwrap() {
            let expression = alert["expr"].as_str().unwrap();
            assert_eq!(expression.matches('{').count(), expression.matches(&own).count(), "{expression}");
            assert_eq!(
                (&alert["labels"]["namespace"], &alert["labels"]["release"]),
                (&json!(RELEASE), &json!(release))
            );
        }
        let (file, dashboard) = dashboard(&documents)?;
        for expression in expressions(&dashboard) {
            // These are in the namespace of a platform: whose they are says the pod that tells them.
            let of_platforms = ["todo_operator_condition", "todo_operator_data_path_age_seconds"]
                .iter()
                .map(|name| expression.matches(name).count())
                .sum::<usize>();
            let joined = expression.matches(&format!(" and on (pod) todo_operator_leader{own}")).count();
            let series = expression.matches("todo_operator_").count();
            assert_eq!(
                (joined, expression.matches(&own).count()),
                (of_platforms, series - of_platforms),
                "{expression}"
            );
        }
        dashboards.extend([file, dashboard["uid"].to_string(), dashboard["title"].to_string()]);
    }
    assert_eq!(dashboards.len(), 6, "{dashboards:?}");
    Ok(())
}

/// The one dashboard, with the name of its file.
fn dashboard(documents: &[DynamicObject]) -> anyhow::Result<(String, Value)> {
    let files = of_kind(documents, "ConfigMap").pop().map(|one| one.data["data"].clone()).unwrap_or_default();
    let file = files.as_object().and_then(|files| files.iter().next()).context("no dashboard")?;
    Ok((file.0.clone(), serde_json::from_str(file.1.as_str().unwrap_or_default())?))
}

/// What the panels of a dashboard ask for.
fn expressions(dashboard: &Value) -> Vec<&str> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.filter_map(|target| target["expr"].as_str()).collect()
}

#[tokio::test]
async fn the_notes_make_a_platform_where_the_operator_looks_for_one() -> anyhow::Result<()> {
    for (settings, namespace) in [(&[][..], "todo"), (&["watchNamespace=team-a"], "team-a")] {
        let notes = notes(settings).await?;
        // A chart with a Role in there needs it before.
        assert_eq!(notes.contains("kubectl create namespace todo"), settings.is_empty(), "{notes}");
        for line in [
            format!("kubectl apply -n {namespace} -f - <<YAML"),
            format!("kubectl get todoplatforms -n {namespace} --watch"),
        ] {
            assert!(notes.lines().any(|one| one.trim() == line), "{line}: {notes}");
        }
    }
    Ok(())
}

/// What is printed after an installation. Helm renders that for a cluster only; so it is a document here.
async fn notes(settings: &[&str]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let (chart, original) = (folder.path(), Path::new(CHART));
    std::fs::create_dir(chart.join("templates"))?;
    for file in ["Chart.yaml", "values.yaml"] {
        std::fs::copy(original.join(file), chart.join(file))?;
    }
    std::fs::copy(original.join("templates/NOTES.txt"), chart.join("notes"))?;
    let template = "{apiVersion: v1, kind: Notes, notes: {{ tpl (.Files.Get \"notes\") . | toJson }}}";
    std::fs::write(chart.join("templates/notes.yaml"), template)?;
    let chart = chart.to_string_lossy();
    let template = ["template", RELEASE, &chart, "--kube-version", "v1.34.0"];
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    let documents = parse(&Helm::without_cluster()?.run(&template.into_iter().chain(set).collect::<Vec<_>>()).await?)?;
    Ok(of_kind(&documents, "Notes").pop().context("no notes")?.data["notes"].as_str().unwrap_or_default().to_owned())
}

/// The documents that the chart makes of everything and these values.
async fn documents(ground: &Ground, helm: &Helm, values: &Value) -> anyhow::Result<Vec<DynamicObject>> {
    let mut all = everything();
    for (name, value) in values.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    let file = ground.folder.path().join("values.json");
    std::fs::write(&file, all.to_string())?;
    let (file, version) = (file.to_string_lossy(), ground.client.apiserver_version().await?.git_version);
    let template = ["template", RELEASE, CHART, "--values", &file, "--kube-version", &version];
    parse(&helm.run(&template).await?)
}

/// What the API server says to a document, if it does not take it. Fields that it does not know are refused.
async fn refusal(client: &Client, discovery: &Discovery, document: &DynamicObject) -> anyhow::Result<Option<String>> {
    let (types, name) =
        (document.types.clone().unwrap_or_default(), document.metadata.name.clone().unwrap_or_default());
    let kind = format!("{}/{name}", types.kind);
    let all = discovery.groups().flat_map(kube::discovery::ApiGroup::resources_by_stability);
    let known: Option<(ApiResource, _)> =
        all.into_iter().find(|(resource, _)| resource.kind == types.kind && resource.api_version == types.api_version);
    let Some((resource, capabilities)) = known else { return Ok(Some(format!("{kind}: no such kind"))) };
    let api: Api<DynamicObject> = match (capabilities.scope, &document.metadata.namespace) {
        (Scope::Cluster, None) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (scope, namespace) => return Ok(Some(format!("{kind}: {scope:?} in {namespace:?}"))),
    };
    let params = PatchParams { dry_run: true, ..PatchParams::apply("helm").force().validation_strict() };
    let answer = api.patch(&name, &params, &Patch::Apply(document)).await;
    Ok(answer.err().map(|error| format!("{kind}: {error}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_chart_can_make_is_taken_by_an_api_server_for_the_cluster_and_for_one_namespace()
-> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    ground.plane.install_kinds("prometheus-operator").await?;
    for namespace in [RELEASE, "team"] {
        ground.plane.namespace(namespace).await?;
    }
    let discovery = Discovery::new(ground.client.clone()).run().await?;
    let helm = Helm::of(&ground)?;
    let of_cluster = json!({"excludedNamespaces": ["other", "third"]});
    let of_namespace = json!({"watchNamespace": "team"});
    for (values, kinds) in
        [(of_cluster, ["ClusterRole", "ClusterRoleBinding"]), (of_namespace, ["Role", "RoleBinding"])]
    {
        let documents = documents(&ground, &helm, &values).await?;
        let made: BTreeSet<&str> = documents.iter().filter_map(|one| Some(one.types.as_ref()?.kind.as_str())).collect();
        let monitoring = ["ConfigMap", "PrometheusRule", "Service", "ServiceMonitor"];
        for kind in monitoring.into_iter().chain(kinds).chain(["CustomResourceDefinition", "Deployment"]) {
            anyhow::ensure!(made.contains(kind), "{values}: no {kind} in {made:?}");
        }
        let mut refused = Vec::new();
        for document in &documents {
            refused.extend(refusal(&ground.client, &discovery, document).await?);
        }
        anyhow::ensure!(
            refused.is_empty(),
            "{values}: {} of {}:\n{}",
            refused.len(),
            documents.len(),
            refused.join("\n")
        );
        check_contents(&documents)?;
    }
    Ok(())
}

/// What no schema looks at: that there are alerts, and that the dashboard is a document with panels.
fn check_contents(documents: &[DynamicObject]) -> anyhow::Result<()> {
    let rules = of_kind(documents, "PrometheusRule").pop().map(|one| one.data.clone()).unwrap_or_default();
    let groups = rules["spec"]["groups"].as_array().cloned().unwrap_or_default();
    let alerts = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    anyhow::ensure!(alerts.filter(|rule| rule["alert"].is_string()).count() > 3, "hardly any alert in {groups:?}");
    let (_, dashboard) = dashboard(documents)?;
    anyhow::ensure!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 3), "{dashboard}");
    Ok(())
}
