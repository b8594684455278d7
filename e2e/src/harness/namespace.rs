//! Namespaces for scenarios.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use k8s_openapi::{api::core::v1::Namespace as Object, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};

use super::{Env, dump, until};

/// Label of every namespace of a scenario, so that what an interrupted run left can be found.
pub const LABEL: &str = "todoplatform.dev/e2e";
/// Set to keep the namespaces of scenarios that fail.
pub const KEEP: &str = "E2E_KEEP";

/// How long a namespace may take to go with all that is in it.
const GONE: Duration = Duration::from_mins(2);

/// A namespace that enforces Pod Security `restricted`.
#[derive(Clone)]
pub struct Namespace {
    /// Where it is.
    pub env: Env,
    /// Its name.
    pub name: String,
}

impl Namespace {
    /// Runs a scenario in a namespace of its own. When it fails, what went on in there is printed; in the end the
    /// namespace goes, unless `E2E_KEEP` is set and it failed.
    ///
    /// # Panics
    /// As the scenario does, and when it returns an error.
    #[expect(clippy::panic, reason = "a scenario fails by panicking, as every test does")]
    pub async fn with<Fut>(scenario: &str, run: impl FnOnce(Self) -> Fut)
    where
        Fut: Future<Output = anyhow::Result<()>>,
    {
        let env = Env::connect().await.expect("a cluster is up: run `cargo xtask up` first");
        let namespace = Self::create(&env, scenario).await.expect("a namespace can be made");
        let result = AssertUnwindSafe(run(namespace.clone())).catch_unwind().await;
        let failed = !matches!(result, Ok(Ok(())));
        if failed {
            eprintln!("{}", dump::namespace(&env.client, &namespace.name).await);
        }
        if !failed || std::env::var_os(KEEP).is_none() {
            let _ = namespace.delete().await;
        }
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{scenario}: {error:?}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Makes a namespace whose name begins with that of the scenario.
    pub async fn create(env: &Env, scenario: &str) -> anyhow::Result<Self> {
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{scenario}-{}", &suffix[..6]);
        Self::named(env, &name).await
    }

    /// Makes the namespace of this name if it is not there. One that a run before left may still be going.
    pub async fn named(env: &Env, name: &str) -> anyhow::Result<Self> {
        let object = Object {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(BTreeMap::from([
                    ("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned()),
                    (LABEL.to_owned(), "true".to_owned()),
                ])),
                ..ObjectMeta::default()
            },
            ..Object::default()
        };
        let api: Api<Object> = Api::all(env.client.clone());
        until(&format!("namespace {name} is there"), GONE, async || {
            match api.create(&PostParams::default(), &object).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    Ok(api.get(name).await?.metadata.deletion_timestamp.is_none().then_some(()))
                }
                created => Ok(created.map(|_| Some(()))?),
            }
        })
        .await?;
        Ok(Self { env: env.clone(), name: name.to_owned() })
    }

    /// Typed access to the objects of a kind in it.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.env.client.clone(), &self.name)
    }

    /// Asks for its removal and does not wait for it.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let api: Api<Object> = Api::all(self.env.client.clone());
        api.delete(&self.name, &DeleteParams::background()).await?;
        Ok(())
    }

    /// Asks for the removal of all namespaces of scenarios.
    pub async fn delete_all(client: &Client) -> anyhow::Result<()> {
        let api: Api<Object> = Api::all(client.clone());
        for namespace in api.list(&ListParams::default().labels(LABEL)).await? {
            let name = namespace.metadata.name.unwrap_or_default();
            let _ = api.delete(&name, &DeleteParams::background()).await;
        }
        Ok(())
    }
}
