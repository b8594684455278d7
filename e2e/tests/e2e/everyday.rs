//! What a person does with a platform: looks at it, asks what a change would do, holds it, gives it a host name, and
//! takes its namespace away.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Namespace as Object,
    networking::v1::{Ingress, NetworkPolicy},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use todo_e2e::{
    command::{Command, Ended},
    harness::{Env, Namespace, Platform, until, wait},
    images,
};

use crate::{shared, traces};

const FRONTEND: &str = "frontend-service";
const HOST: &str = "todo.example.com";
const SOON: Duration = Duration::from_secs(20);
const ROLLED: Duration = Duration::from_mins(2);
const QUIET: Duration = Duration::from_secs(8);
const GONE: Duration = Duration::from_mins(2);

/// The operator's program, asked about the cluster.
async fn operator(env: &Env, args: &[&str]) -> anyhow::Result<Ended> {
    let program = images::programs(env.cluster.settings()).join("todo-operator");
    Ok(Command::new(program).args(args).env("KUBECONFIG", env.cluster.kubeconfig()).end().await?)
}

/// `todo-operator diff` of a platform with this spec.
async fn diff(platform: &Platform, spec: &Value) -> anyhow::Result<Ended> {
    let (name, namespace) = (&platform.name, &platform.namespace);
    let metadata = json!({"name": name, "namespace": namespace.name});
    let wanted = json!({
        "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform", "metadata": metadata, "spec": spec,
    });
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), wanted.to_string())?;
    operator(&namespace.env, &["diff", "-f", &file.path().display().to_string()]).await
}

/// Generations of what runs and uids of what guards it, by name: the same as long as nobody writes a spec of them.
async fn objects(platform: &Platform) -> anyhow::Result<BTreeMap<String, String>> {
    let (namespace, all) = (&platform.namespace, ListParams::default());
    let mut found = BTreeMap::new();
    let mut add = |kind: &str, metadata: &kube::api::ObjectMeta| {
        let is_now = format!("{:?} {:?}", metadata.uid, metadata.generation);
        found.insert(format!("{kind}/{}", metadata.name.clone().unwrap_or_default()), is_now);
    };
    add("TodoPlatform", &platform.get().await?.metadata);
    namespace.api::<Deployment>().list(&all).await?.iter().for_each(|one| add("Deployment", &one.metadata));
    namespace.api::<StatefulSet>().list(&all).await?.iter().for_each(|one| add("StatefulSet", &one.metadata));
    namespace.api::<NetworkPolicy>().list(&all).await?.iter().for_each(|one| add("NetworkPolicy", &one.metadata));
    namespace.api::<Ingress>().list(&all).await?.iter().for_each(|one| add("Ingress", &one.metadata));
    Ok(found)
}

#[tokio::test]
async fn the_command_line_says_how_a_platform_is_and_whether_the_cluster_has_what_it_needs() {
    shared::with("everyday", async |platform, _| {
        let (name, namespace) = (platform.name.as_str(), &platform.namespace);
        let status = operator(&namespace.env, &["status", name, "-n", &namespace.name]).await?;
        let first = format!("TodoPlatform {}/{name}: Ready  http://{FRONTEND}.{}.svc", namespace.name, namespace.name);
        for line in [first.as_str(), "DataPathVerified=True", "statestore", "backend-service: 2/2 ready", "pod kafka-0"]
        {
            assert!(status.output.contains(line), "{line} is not in:\n{}", status.output);
        }
        assert_eq!(status.status.code(), Some(0), "{}", status.output);

        let status = operator(&namespace.env, &["status", name, "-n", &namespace.name, "-o", "json"]).await?;
        let report: Value = serde_json::from_str(&status.output)?;
        assert_eq!((&report["name"], &report["ready"], &report["current"]), (&json!(name), &json!(true), &json!(true)));
        let pods = report["pods"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(pods.iter().any(|pod| pod["part"] == "backend-service" && pod["ready"] == true), "{pods:?}");
        assert_eq!(report["status"]["servicesReady"], "4/4");
        let nobody = operator(&namespace.env, &["status", "nobody", "-n", &namespace.name]).await?;
        assert_eq!(nobody.status.code(), Some(1));
        assert!(nobody.tail.contains("there is no TodoPlatform nobody"), "{}", nobody.tail);

        let account = "system:serviceaccount:todo-operator:todo-operator";
        for args in [vec!["preflight"], vec!["preflight", "--as", account]] {
            let said = operator(&namespace.env, &args).await?;
            assert_eq!(said.status.code(), Some(0), "{}", said.output);
            for line in ["✔ Kubernetes ", "is of this release", "may do all "] {
                assert!(said.output.contains(line), "{line} is not in:\n{}", said.output);
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_platform_is_traced_compared_suspended_put_behind_a_host_and_goes_with_its_namespace() {
    Namespace::with("everyday", async |namespace| {
        let collector = traces::collector(&namespace.env).await?;
        let with = |more: Value| {
            let tracing = json!({"endpoint": collector.url, "samplingRate": "1"});
            let mut spec = json!({"services": {"backend": {"replicas": 1}}, "dapr": {"tracing": tracing}});
            spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            spec
        };
        let platform = Platform::apply(&namespace, "todo", with(json!({}))).await?;
        platform.ready().await?;
        traces::followed(&platform, &collector).await?;
        compared(&platform, &with(json!({}))).await?;
        suspended(&platform, &with).await?;
        without_gateway_api(&platform, &with).await?;

        namespace.delete().await?;
        let namespaces: Api<Object> = Api::all(namespace.env.client.clone());
        until("the namespace has gone with its platform", GONE, async || {
            Ok(namespaces.get_opt(&namespace.name).await?.is_none().then_some(()))
        })
        .await
    })
    .await;
}

/// What `diff` says before and after a change, and that asking changes nothing.
async fn compared(platform: &Platform, spec: &Value) -> anyhow::Result<()> {
    let before = objects(platform).await?;
    let same = diff(platform, spec).await?;
    assert_eq!((same.output.as_str(), same.status.code()), ("-", Some(0)), "{}", same.tail);

    let mut changed = spec.clone();
    changed["ingress"] = json!({"host": HOST});
    changed["services"]["frontend"] = json!({"env": [{"name": "RUST_LOG", "value": "debug"}]});
    let tree = diff(platform, &changed).await?;
    assert_eq!(tree.status.code(), Some(1), "{}", tree.tail);
    for line in [
        "~ TodoPlatform/todo\n",
        "~ Deployment/frontend-service (its pods start anew)\n",
        "~ [RUST_LOG].value: \"info\" → \"debug\"\n",
        "+ [ALLOWED_HOSTS]: ",
        "+ Ingress/frontend-service\n",
    ] {
        assert!(format!("{}\n", tree.output).contains(line), "{line} is not in:\n{}", tree.output);
    }
    assert!(!tree.output.contains("backend-service"), "it stays as it is:\n{}", tree.output);

    changed["ingress"] = json!({"host": "Not A Host"});
    let refused = diff(platform, &changed).await?;
    assert_eq!(refused.status.code(), Some(2), "{}", refused.output);
    assert!(refused.tail.contains("write a host name in small letters"), "{}", refused.tail);
    assert_eq!(objects(platform).await?, before, "to ask is no change");
    Ok(())
}

/// While it is suspended nothing is made of a new spec and nothing is put back; then all of it is.
async fn suspended(platform: &Platform, with: &impl Fn(Value) -> Value) -> anyhow::Result<()> {
    let (namespace, name) = (&platform.namespace, platform.name.as_str());
    let behind = json!({"ingress": {"host": HOST, "className": "somebody", "tlsSecretName": "todo-tls"}});
    let mut held = with(behind.clone());
    held["suspend"] = json!(true);
    Platform::apply(namespace, name, held.clone()).await?;
    let says_so = async || {
        let condition = platform.condition("Progressing").await?;
        Ok(condition.filter(|one| one.status == "False" && one.reason == "Suspended").map(drop))
    };
    until("the status says that it is suspended", SOON, says_so).await?;
    namespace.api::<NetworkPolicy>().delete(FRONTEND, &DeleteParams::default()).await?;
    let before = objects(platform).await?;
    wait::throughout("nothing is made and nothing is put back", QUIET, async || Ok(objects(platform).await? == before))
        .await?;
    assert!(!before.contains_key("Ingress/frontend-service"), "{before:?}");
    // It is looked at all the time.
    platform.wait("Ready", "True", SOON).await?;
    let told = diff(platform, &held).await?;
    assert_eq!(told.status.code(), Some(0), "{}", told.output);
    assert!(told.output.contains("suspended"), "{}", told.output);

    Platform::apply(namespace, name, with(behind)).await?;
    let policy = async || Ok(namespace.api::<NetworkPolicy>().get_opt(FRONTEND).await?.map(drop));
    until("what somebody took away is back", SOON, policy).await?;
    let ingress = async || Ok(namespace.api::<Ingress>().get_opt(FRONTEND).await?);
    let ingress = until("the Ingress is there", SOON, ingress).await?;
    assert!(ingress.owner_references().iter().any(|owner| owner.kind == "TodoPlatform" && owner.name == name));
    let spec = serde_json::to_value(ingress.spec)?;
    let backend = json!({"service": {"name": FRONTEND, "port": {"name": "http"}}});
    let rule = json!({"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}});
    let tls = json!([{"hosts": [HOST], "secretName": "todo-tls"}]);
    assert_eq!(spec, json!({"ingressClassName": "somebody", "rules": [rule], "tls": tls}));
    until("the status has the URL", SOON, async || {
        let url = platform.get().await?.status.and_then(|status| status.url);
        Ok(url.filter(|url| url == &format!("https://{HOST}")).map(drop))
    })
    .await?;
    // The page's pods start anew, as they have to know the host.
    platform.wait("Progressing", "False", ROLLED).await?;
    platform.wait("Ready", "True", ROLLED).await?;
    Ok(())
}

/// A Gateway in place of the Ingress: the condition says what is missing, and the platform works on, its Ingress included, as
/// nothing else leads to the page.
async fn without_gateway_api(platform: &Platform, with: &impl Fn(Value) -> Value) -> anyhow::Result<()> {
    let (namespace, name) = (&platform.namespace, platform.name.as_str());
    let gateway = json!({"ingress": {"host": HOST, "gateway": {"name": "entry"}}});
    Platform::apply(namespace, name, with(gateway)).await?;
    let degraded = platform.wait("Degraded", "True", SOON).await?;
    assert_eq!(degraded.reason, "GatewayApiMissing", "{}", degraded.message);
    assert!(degraded.message.contains("HTTPRoute/frontend-service"), "{}", degraded.message);
    platform.wait("Ready", "True", SOON).await?;
    assert!(namespace.api::<Ingress>().get_opt(FRONTEND).await?.is_some(), "the page cannot be reached any more");
    Platform::apply(namespace, name, with(json!({}))).await?;
    until("the Ingress has gone", SOON, async || {
        Ok(namespace.api::<Ingress>().get_opt(FRONTEND).await?.is_none().then_some(()))
    })
    .await?;
    platform.wait("Degraded", "False", SOON).await?;
    Ok(())
}
