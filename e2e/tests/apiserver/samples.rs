//! `config/samples`, as a person applies them.

use std::{fs, path::Path};

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
};
use serde::Deserialize;
use todo_crds::platform::TodoPlatform;
use todo_e2e::harness::Namespace;

const FOLDER: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/config/samples");

#[tokio::test]
async fn every_sample_is_taken_as_it_is_written() {
    Namespace::with("samples", async |namespace| {
        let resource = ApiResource::erase::<TodoPlatform>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(namespace.env.client.clone(), &namespace.name, &resource);
        // As `kubectl apply --server-side --dry-run=server` does it.
        let params = PatchParams { dry_run: true, ..PatchParams::apply("kubectl").validation_strict() };
        let mut applied = 0;
        for file in fs::read_dir(FOLDER)? {
            let file = file?.path();
            for platform in platforms(&file)? {
                let name = platform.metadata.name.clone().unwrap_or_default();
                let answer = api.patch(&name, &params, &Patch::Apply(&platform)).await;
                answer.map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
                applied += 1;
            }
        }
        anyhow::ensure!(applied >= 4, "only {applied} samples");
        Ok(())
    })
    .await;
}

/// The documents of a file, which all have to be platforms.
fn platforms(file: &Path) -> anyhow::Result<Vec<DynamicObject>> {
    let text = fs::read_to_string(file)?;
    let documents = serde_yaml::Deserializer::from_str(&text);
    Ok(documents.map(DynamicObject::deserialize).collect::<Result<_, _>>()?)
}
