//! Each field of the spec changed and changed back: what is refused is refused with words, and what is taken can be taken
//! back, after which all is as it was.

mod bases;
mod schema;
mod values;

use std::time::Duration;

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
const GROWS: &str = "storage.size";
/// How long nothing is written when a platform is made. Its broker has been asked for by then.
const QUIET: Duration = Duration::from_secs(5);
/// The same where the broker is one that cannot be found, which takes longer.
const LONG_QUIET: Duration = Duration::from_secs(12);
/// Tries of a write that somebody else's write is faster than.
const TRIES: usize = 20;

/// The fields that keep the value that they have: a volume is of the class that it was made with, and nodes have one field.
const FIXED: [&str; 2] = [".storage.storageClassName", ".matchFields[].key"];

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
        let mut leaves: Vec<_> = leaves.iter().map(|leaf| (bases::of(&leaf.to_string()), leaf)).collect();
        leaves.sort_by_key(|(base, _)| base.to_string());
        let shares = leaves.chunk_by(|(one, _), (other, _)| one == other).flat_map(|group| group.chunks(share));
        let shares = stream::iter(shares.enumerate()).map(async |(number, leaves)| {
            let trial = Trial { walk: self.walk(number).await?, schema, base: leaves[0].0.clone() };
            let leaves = leaves.iter().map(|(_, leaf)| *leaf);
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
    /// The spec that is changed.
    base: Value,
}

impl Trial<'_> {
    async fn all(&self, leaves: impl Iterator<Item = &Leaf>, proxy: &Proxy) -> anyhow::Result<Changed> {
        let namespace = &self.walk.namespace;
        let platform: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
            "metadata": {"name": PLATFORM}, "spec": self.base,
        }))?;
        self.api().create(&PostParams::default(), &platform).await?;
        let at_first = until(&format!("all of {namespace} is made"), SETTLED, || async {
            let (now, quiet) = (self.now().await?, proxy.ledger().in_namespace(namespace).quiet_for());
            let is_made = if bases::makes_services(&self.base) {
                is_made(&now) && quiet > QUIET
            } else {
                now.keys().nth(1).is_some() && quiet > LONG_QUIET
            };
            Ok(is_made.then_some(now))
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
        let mut is_ever_taken = false;
        for values in [meant, hostile] {
            let mut is_taken = false;
            for value in values {
                let spec = leaf.set(&self.base, self.schema, &value);
                if spec == self.base {
                    continue;
                }
                let short: String = value.to_string().chars().take(60).collect();
                match self.write(&spec, true).await? {
                    Err(words) if words.contains("spec") => changed.refused += 1,
                    Err(words) => changed.wrong.push(format!("{leaf} = {short}: refused with {words:?}")),
                    Ok(()) if is_taken => {}
                    Ok(()) if leaf.to_string().ends_with(GROWS) => is_taken = true,
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
            is_ever_taken |= is_taken;
        }
        if !is_ever_taken && !FIXED.iter().any(|fixed| leaf.to_string().ends_with(fixed)) {
            changed.wrong.push(format!("{leaf}: no value is taken"));
        }
        Ok(changed)
    }

    async fn there_and_back(&self, spec: &Value, at_first: &Snapshot) -> anyhow::Result<()> {
        for spec in [spec, &self.base] {
            self.write(spec, false).await?.map_err(anyhow::Error::msg)?;
            until("the operator has seen the change", SETTLED, || async {
                let platform = self.api().get(PLATFORM).await?;
                let seen = platform.data["status"]["observedGeneration"].as_i64();
                Ok((seen == platform.metadata.generation).then_some(()))
            })
            .await?;
        }
        until("all is as before", SETTLED, || async {
            let now = self.now().await?;
            let mut differences = now.differences(at_first);
            differences.extend(now.changed_hashes(at_first));
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
