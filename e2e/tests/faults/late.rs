//! Definitions that come, go and change while the operator runs.

use std::{path::Path, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{APPS, Action, Ground, Operator, Options, SETTLED},
    harness::{until, wait},
};

use crate::support::{
    CHART, DAPR, Helm, OURS, beside_others, condition, definitions, free_port, only_missing, ready, remove,
};

const DEFINITION: &str = "files/todoplatforms.todoplatform.dev.yaml";

async fn deployments(client: &Client, namespace: &str) -> anyhow::Result<Vec<String>> {
    let list = Api::<Deployment>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?;
    Ok(list.into_iter().map(|one| one.name_any()).collect())
}

async fn services_are_made(client: &Client, namespace: &str) -> anyhow::Result<()> {
    until("every service is made", SETTLED, || async {
        let made = deployments(client, namespace).await?;
        Ok(APPS.iter().all(|app| made.iter().any(|name| name == app)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dapr_no_service_is_made_and_the_operator_goes_on_by_itself_when_it_comes() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let mut removed = Vec::new();
    for name in DAPR {
        removed.push(remove(client, name).await?);
    }
    let operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    Action::Create.perform(client, &walk.namespace).await?;
    let told = until("Dapr is missed", SETTLED, || async {
        let condition = condition(client, &walk.namespace, "DaprReady").await?;
        Ok(condition.filter(|one| one.reason == "DaprNotInstalled"))
    })
    .await?;
    anyhow::ensure!(told.message.contains("Component, Configuration and Resiliency"), "{}", told.message);
    wait::throughout("no service is made", Duration::from_secs(5), || async {
        Ok(deployments(client, &walk.namespace).await?.is_empty())
    })
    .await?;

    for definition in &removed {
        definitions(client).create(&PostParams::default(), definition).await?;
    }
    services_are_made(client, &walk.namespace).await?;
    anyhow::ensure!(operator.restarts() == 0, "it was started anew:\n{}", operator.last_words(10));
    Ok(())
}

/// The chart as an earlier release had it: without a field that this one knows.
fn older_chart(folder: &Path, field: &str) -> anyhow::Result<()> {
    for part in ["files", "templates"] {
        std::fs::create_dir_all(folder.join(part))?;
    }
    for part in ["", "files", "templates"] {
        for file in std::fs::read_dir(Path::new(CHART).join(part))? {
            let file = file?;
            if file.file_type()?.is_file() {
                std::fs::copy(file.path(), folder.join(part).join(file.file_name()))?;
            }
        }
    }
    let file = folder.join(DEFINITION);
    let mut definition: Value = serde_yaml::from_str(&std::fs::read_to_string(&file)?)?;
    let spec = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    let removed = spec.and_then(Value::as_object_mut).and_then(|fields| fields.remove(field));
    anyhow::ensure!(removed.is_some(), "there is no field {field}");
    std::fs::write(file, serde_yaml::to_string(&definition)?)?;
    Ok(())
}

/// What the API server says to a platform with this spec.
async fn try_out(client: &Client, namespace: &str, spec: &Value) -> Result<(), String> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<TodoPlatform>(&()));
    let platform = json!({
        "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform", "metadata": {"name": "todo"}, "spec": spec,
    });
    let params = PatchParams { dry_run: true, ..PatchParams::apply("person").validation_strict() };
    api.patch("todo", &params, &Patch::Apply(platform)).await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_brings_new_fields_keeps_platforms_when_it_goes_and_their_definition_can_be_deleted()
-> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let helm = Helm::of(&ground)?;
    let older = tempfile::tempdir()?;
    older_chart(older.path(), "suspend")?;
    let suspended = json!({"suspend": true});

    helm.upgrade(older.path()).await?;
    let refused = until("the older definition is in force", SETTLED, || async {
        Ok(try_out(client, &walk.namespace, &suspended).await.err())
    })
    .await?;
    anyhow::ensure!(refused.contains("suspend"), "{refused}");
    helm.upgrade(Path::new(CHART)).await?;
    until("the new field is known", SETTLED, || async {
        try_out(client, &walk.namespace, &suspended).await.map(Some).map_err(anyhow::Error::msg)
    })
    .await?;

    let port = free_port()?;
    let options = Options { management: Some(port), ..Options::default() };
    let folder = ground.folder.path();
    let operator = Operator::start_with(&mut proxy, folder, Some(&walk.namespace), "operator", options)?;
    Action::Create.perform(client, &walk.namespace).await?;
    ground.created(&proxy, &walk.namespace).await?;
    ready(port).await?;
    helm.run(&["uninstall", "todo-operator"]).await?;
    let platforms: Api<TodoPlatform> = Api::namespaced(client.clone(), &walk.namespace);
    anyhow::ensure!(platforms.list(&ListParams::default()).await?.items.len() == 1, "the platform went with the chart");

    let definition = remove(client, OURS).await?;
    let why = only_missing(port, "cannot watch TodoPlatform").await?;
    anyhow::ensure!(why == "the cluster has no such kind; install its CRD", "{why}");
    until("nothing is left of what the platform consisted of", SETTLED, || async {
        Ok(deployments(client, &walk.namespace).await?.is_empty().then_some(()))
    })
    .await?;
    definitions(client).create(&PostParams::default(), &definition).await?;
    // Before there is a platform that could set off anything.
    ready(port).await?;
    until("a platform can be made again", SETTLED, || async {
        Action::Create.perform(client, &walk.namespace).await.map(Some)
    })
    .await?;
    services_are_made(client, &walk.namespace).await?;
    anyhow::ensure!(operator.restarts() == 0, "it was started anew:\n{}", operator.last_words(10));
    Ok(())
}
