//! The tables of `crds/tests/cel`: what they say is refused is refused, with these words, and all else is taken.

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use todo_crds::platform::{TodoPlatform, TodoPlatformSpec};
use todo_e2e::harness::Namespace;

use crate::cel::Case;

#[tokio::test]
async fn the_api_server_takes_and_refuses_what_the_tables_say() {
    Namespace::with("rules", async |namespace| {
        let api = Api::namespaced_with(
            namespace.env.client.clone(),
            &namespace.name,
            &ApiResource::erase::<TodoPlatform>(&()),
        );
        let (mut tried, mut wrong) = (0, Vec::new());
        for (table, case) in Case::all() {
            tried += 1;
            if let Err(error) = check(&api, &case).await {
                wrong.push(format!("{table}, {}: {error:#}", case.what));
            }
        }
        anyhow::ensure!(wrong.is_empty(), "{} of {tried} cases:\n{}", wrong.len(), wrong.join("\n"));
        Ok(())
    })
    .await;
}

async fn check(api: &Api<DynamicObject>, case: &Case) -> anyhow::Result<()> {
    let status = match attempt(api, case).await? {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status),
        Err(error) => return Err(error.into()),
    };
    let said = status.as_ref().map(|status| status.message.as_str()).unwrap_or_default();
    let causes = status.as_ref().and_then(|status| status.details.as_ref()).map(|details| details.causes.as_slice());
    let causes = causes.unwrap_or_default().iter().map(|cause| (cause.field.as_str(), cause.message.as_str()));
    match &case.refused {
        Some(message) => {
            anyhow::ensure!(case.is_refused_by(causes), "refused with {message:?} expected, said {said:?}");
        }
        None => anyhow::ensure!(said.is_empty(), "refused: {said}"),
    }
    Ok(())
}

/// Tries to make the platform or, where there is one before it, to change that into it.
async fn attempt(api: &Api<DynamicObject>, case: &Case) -> anyhow::Result<kube::Result<DynamicObject>> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut platform: DynamicObject = serde_json::from_value(case.platform())?;
    let Some(old) = case.old() else {
        return Ok(api.create(&dry_run, &platform).await);
    };
    // An operator is at work in the cluster.
    let old = api.create(&PostParams::default(), &suspended(serde_json::from_value(old)?)).await?;
    platform.metadata.resource_version = old.resource_version();
    let changed = replace(api, &suspended(platform), &dry_run).await;
    api.delete(&old.name_any(), &DeleteParams::default()).await?;
    Ok(changed)
}

/// Replaces the platform, whose status the operator may have written since it was read.
async fn replace(
    api: &Api<DynamicObject>,
    platform: &DynamicObject,
    params: &PostParams,
) -> kube::Result<DynamicObject> {
    let mut platform = platform.clone();
    loop {
        match api.replace(&platform.name_any(), params, &platform).await {
            Err(kube::Error::Api(status)) if status.is_conflict() => {
                platform.metadata.resource_version = api.get(&platform.name_any()).await?.resource_version();
            }
            answer => return answer,
        }
    }
}

fn suspended(mut platform: DynamicObject) -> DynamicObject {
    platform.data["spec"]["suspend"] = Value::Bool(true);
    platform
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_refused_by_name() {
    Namespace::with("unknown", async |namespace| {
        let platform = json!({
            "apiVersion": "todoplatform.dev/v1alpha1",
            "kind": "TodoPlatform",
            "metadata": {"name": "todo"},
            "spec": {"kafka": {"brokerCount": 3}},
        });
        let params = PatchParams { dry_run: true, ..PatchParams::apply("e2e").validation_strict() };
        let applied = namespace.api::<TodoPlatform>().patch("todo", &params, &Patch::Apply(platform)).await;
        let said = applied.err().map(|error| error.to_string()).unwrap_or_default();
        anyhow::ensure!(said.contains("brokerCount"), "said {said:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_empty_spec_takes_back_all_that_was_applied_before() {
    Namespace::with("empty", async |namespace| {
        let apply = async |spec: Value, dry_run: bool| {
            let params = PatchParams { dry_run, ..PatchParams::apply("e2e").validation_strict() };
            let platform = json!({
                "apiVersion": "todoplatform.dev/v1alpha1",
                "kind": "TodoPlatform",
                "metadata": {"name": "todo"},
                "spec": spec,
            });
            namespace.api::<TodoPlatform>().patch("todo", &params, &Patch::Apply(platform)).await
        };
        // An operator is at work in the cluster.
        apply(json!({"suspend": true, "version": "0.1.0"}), false).await?;
        let after = apply(json!({}), true).await?;
        anyhow::ensure!(after.spec == TodoPlatformSpec::default(), "left: {:?}", after.spec);
        Ok(())
    })
    .await;
}
