//! Each field of the spec changed and changed back: what is refused is refused with words, and what is taken can be taken
//! back, after which all is as it was.

mod schema;
mod values;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

pub use schema::Leaf;

use super::{
    Ground, Operator, SETTLED, Snapshot, Walk,
    actions::{PLATFORM, platforms},
    ground::is_made,
};
use crate::{harness::until, proxy::Proxy};

/// Platforms at the same time.
const TOGETHER: usize = 6;
/// Stays when nobody asks for it any more, as data does: browsers that have subscribed know these keys and no others.
const KEPT: &str = "Secret/web-push-keys should not be there";
/// Can only grow, so what is taken cannot be taken back. Both are among the cases of the rules.
const GROWS: &str = "spec.postgres.embedded.storage.size";
/// Tries of a write that somebody else's write is faster than.
const TRIES: usize = 20;

/// What became of fields.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Values that were refused with words.
    pub refused: usize,
    /// Values that were taken, and taken back.
    pub taken: usize,
    /// What was wrong, each with its field and value.
    pub wrong: Vec<String>,
}

impl Changed {
    fn add(&mut self, other: Self) {
        self.refused += other.refused;
        self.taken += other.taken;
        self.wrong.extend(other.wrong);
    }
}

impl Ground {
    /// The schema of the spec, as the API server has it.
    pub async fn spec_schema(&self) -> anyhow::Result<Value> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let definition = serde_json::to_value(definitions.get("todoplatforms.todoplatform.dev").await?)?;
        let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
        schema.cloned().context("the definition has no spec")
    }

    /// Changes each of `leaves` and back, in several namespaces at once, with one operator for all of them.
    pub async fn change(&self, leaves: &[Leaf], schema: &Value) -> anyhow::Result<Changed> {
        let mut proxy = self.proxy().await?;
        let operator = Operator::start(&mut proxy, self.folder.path(), None, "operator")?;
        let share = leaves.len().div_ceil(TOGETHER).max(1);
        let (proxy, operator) = (&proxy, &operator);
        let shares = stream::iter(leaves.chunks(share).enumerate()).map(async |(number, leaves)| {
            let trial = Trial { walk: self.walk(number).await?, schema };
            trial.all(leaves, proxy).await.with_context(|| operator.last_words(10))
        });
        let mut changed = Changed::default();
        for one in shares.buffer_unordered(TOGETHER).try_collect::<Vec<_>>().await? {
            changed.add(one);
        }
        anyhow::ensure!(operator.restarts() == 0, "the operator was started anew:\n{}", operator.last_words(10));
        Ok(changed)
    }
}

/// A platform whose fields are changed.
struct Trial<'a> {
    walk: Walk<'a>,
    schema: &'a Value,
}

impl Trial<'_> {
    async fn all(&self, leaves: &[Leaf], proxy: &Proxy) -> anyhow::Result<Changed> {
        let namespace = &self.walk.namespace;
        let platform: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
            "metadata": {"name": PLATFORM}, "spec": base(),
        }))?;
        self.api().create(&PostParams::default(), &platform).await?;
        let at_first = until(&format!("all of {namespace} is made"), SETTLED, || async {
            let (now, quiet) = (self.now().await?, proxy.ledger().in_namespace(namespace).quiet_for());
            Ok((is_made(&now) && quiet > std::time::Duration::from_secs(5)).then_some(now))
        })
        .await?;
        let mut changed = Changed::default();
        for leaf in leaves {
            changed.add(self.one(leaf, &at_first).await.with_context(|| format!("{leaf} in {namespace}"))?);
        }
        Ok(changed)
    }

    /// Tries all values, and makes the change with the first that is taken of those that are meant and those that are not.
    async fn one(&self, leaf: &Leaf, at_first: &Snapshot) -> anyhow::Result<Changed> {
        let mut changed = Changed::default();
        let (meant, hostile) = values::of(&leaf.schema);
        for values in [meant, hostile] {
            let mut is_taken = false;
            for value in values {
                let spec = leaf.set(&base(), self.schema, &value);
                if spec == base() {
                    continue;
                }
                let short: String = value.to_string().chars().take(60).collect();
                match self.write(&spec, true).await? {
                    Err(words) if words.contains("spec") => changed.refused += 1,
                    Err(words) => changed.wrong.push(format!("{leaf} = {short}: refused with {words:?}")),
                    Ok(()) if is_taken || leaf.to_string() == GROWS => {}
                    Ok(()) => {
                        is_taken = true;
                        match self.there_and_back(&spec, at_first).await {
                            Ok(()) => changed.taken += 1,
                            Err(error) => {
                                changed.wrong.push(format!("{leaf} = {short}: {error:#}"));
                                // What comes after it would only show the same.
                                return Ok(changed);
                            }
                        }
                    }
                }
            }
        }
        Ok(changed)
    }

    async fn there_and_back(&self, spec: &Value, at_first: &Snapshot) -> anyhow::Result<()> {
        for spec in [spec, &base()] {
            self.write(spec, false).await?.map_err(anyhow::Error::msg)?;
            until("the operator has seen the change", SETTLED, || async {
                let platform = self.api().get(PLATFORM).await?;
                let seen = platform.data["status"]["observedGeneration"].as_i64();
                Ok((seen == platform.metadata.generation).then_some(()))
            })
            .await?;
        }
        until("all is as before", SETTLED, || async {
            let mut differences = self.now().await?.differences(at_first);
            differences.retain(|difference| difference != KEPT);
            let first = &differences[..differences.len().min(10)];
            anyhow::ensure!(differences.is_empty(), "{} differences:\n{}", differences.len(), first.join("\n"));
            Ok(Some(()))
        })
        .await
    }

    async fn now(&self) -> anyhow::Result<Snapshot> {
        let now = Snapshot::take(self.walk.client, self.walk.kinds, &self.walk.namespace).await?;
        Ok(now.without_generations())
    }

    /// Replaces the spec. Answers what the API server says to it if it does not take it.
    async fn write(&self, spec: &Value, dry_run: bool) -> anyhow::Result<Result<(), String>> {
        let params = PostParams { dry_run, ..PostParams::default() };
        for _ in 0..TRIES {
            let mut platform = self.api().get(PLATFORM).await?;
            platform.data["spec"] = spec.clone();
            match self.api().replace(PLATFORM, &params, &platform).await {
                Ok(_) => return Ok(Ok(())),
                // The operator has written the status meanwhile.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(kube::Error::Api(status)) if (400..500).contains(&status.code) => {
                    return Ok(Err(status.message.clone()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::bail!("somebody else writes again and again")
    }

    fn api(&self) -> Api<DynamicObject> {
        platforms(self.walk.client, &self.walk.namespace)
    }
}

/// The spec that is changed. It has what is needed for its services to be made where nothing runs.
fn base() -> Value {
    json!({"kafka": {"external": {"brokers": ["127.0.0.1:9"]}}, "deletionPolicy": "Delete"})
}
