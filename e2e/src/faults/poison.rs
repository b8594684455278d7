//! A platform that this release cannot read.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{Ground, SETTLED};
use crate::harness::until;

impl Ground {
    /// Makes a platform that this release cannot read, as one of a later release with another schema may be.
    pub async fn poison(&self, namespace: &str) -> anyhow::Result<()> {
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let of_this_release = self.set_schema(anything).await?;
        let platforms = Self::platforms(&self.client, namespace);
        let mut poison: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "todoplatform.dev/v1alpha1",
            "kind": "TodoPlatform",
            "metadata": {"name": "todo"},
            "spec": {"services": "all of them"},
        }))?;
        until("the schema takes anything", SETTLED, || async {
            platforms.create(&PostParams::default(), &poison).await?;
            Ok(Some(()))
        })
        .await?;
        self.set_schema(of_this_release).await?;
        poison.metadata.name = Some("other".to_owned());
        until("the schema is as before", SETTLED, || async {
            let params = PostParams { dry_run: true, ..PostParams::default() };
            Ok(platforms.create(&params, &poison).await.is_err().then_some(()))
        })
        .await
    }

    /// Answers the schema of before.
    async fn set_schema(&self, schema: Value) -> anyhow::Result<Value> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let mut definition = serde_json::to_value(definitions.get("todoplatforms.todoplatform.dev").await?)?;
        let before = std::mem::replace(&mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], schema);
        let definition: CustomResourceDefinition = serde_json::from_value(definition)?;
        definitions.replace("todoplatforms.todoplatform.dev", &PostParams::default(), &definition).await?;
        Ok(before)
    }
}
