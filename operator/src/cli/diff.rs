//! `todo-operator diff`: what the operator would change if this platform were applied. Nothing is written: the API server
//! is asked by dry runs. Values of Secrets are neither sent nor shown.

use std::{collections::BTreeMap, io, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, TypeMeta},
};
use serde_json::Value;
use todo_crds::platform::TodoPlatform;

use super::{
    changes, client,
    entries::{self, Entry, What},
    releases::Release,
    render,
    tree::Paint,
};
use crate::{
    apply::ssa::OF_NOTHING,
    build,
    class::{Class, words},
    controller::watches::{base_kinds, late_kinds},
    dereference::{self, Dereferenced, SecretsRead, cluster},
    labels::{MANAGED_BY, managed_selector},
    plan::{self, Action, Gates, Identity, Key, Live, Plan, Scaling, Standing, Step, ownership::standing},
    resolve::Settings,
};

/// Questions at the same time.
const CONCURRENCY: usize = 8;

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// File with one `TodoPlatform`; other documents in it are passed over.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Namespace, in place of the one in the file; that of the kubeconfig's context if absent in both.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Namespace of the operator, whose settings are taken; of several there, of the one that looks after the platform.
    #[arg(long, env = "OPERATOR_NAMESPACE", default_value_t = Settings::default().operator_namespace)]
    operator_namespace: String,
}

/// Prints what would change. The exit code is 0 if nothing would, 1 if something would, 2 if that cannot be told.
pub(super) async fn run(args: DiffArgs, out: &mut impl io::Write) -> anyhow::Result<ExitCode> {
    let mut wanted = render::read(&args.file)?;
    let client = client::connect(None).await?;
    let namespace =
        args.namespace.or_else(|| wanted.namespace()).unwrap_or_else(|| client.default_namespace().to_owned());
    wanted.metadata.namespace = Some(namespace.clone());
    let settings = settings(&client, &args.operator_namespace, &namespace).await?;
    let cluster = Asker { client, namespace };

    let (platform, own) = cluster.platform(&wanted).await?;
    let mut entries = vec![own];
    if platform.spec.suspend == Some(true) {
        let held = What::Held("suspended: the operator changes nothing".to_owned());
        entries.push(Entry { key: "all other objects".to_owned(), what: held });
    } else {
        entries.extend(cluster.objects(&platform, &settings).await?);
    }
    let (text, code) = entries::report(&entries, Paint::for_output());
    out.write_all(text.as_bytes()).context("cannot write to the output")?;
    Ok(code)
}

/// What the operator in namespace `own` that looks after `namespace` was started with; the usual settings if there is none.
async fn settings(client: &Client, own: &str, namespace: &str) -> anyhow::Result<Settings> {
    let found = client::operators(&Api::namespaced(client.clone(), own)).await;
    let found = found.map_err(|error| client::cannot(&format!("look for the operator in namespace {own}"), &error))?;
    let Some(operator) = found.iter().find(|one| Release::of(one).scope.has(namespace)) else {
        let what = format!("found no operator in namespace {own} that looks after namespace {namespace}");
        eprintln!("todo-operator: {what}; taking the usual settings");
        return Ok(Settings::default());
    };
    Ok(entries::settings_of(operator))
}

/// Asks the API server about one namespace.
struct Asker {
    client: Client,
    namespace: String,
}

impl Asker {
    /// The platform as the API server would store it, and how that differs from what it has.
    async fn platform(&self, wanted: &TodoPlatform) -> anyhow::Result<(TodoPlatform, Entry)> {
        let (name, namespace) = (wanted.name_any(), &self.namespace);
        let api: Api<TodoPlatform> = Api::namespaced(self.client.clone(), namespace);
        let list = api.list(&ListParams::default()).await;
        let list = list.map_err(|error| client::cannot("list TodoPlatforms", &error))?;
        let oldest = list.items.iter().min_by_key(|one| one.creation_timestamp().map(|time| time.0));
        if let Some(other) = oldest.filter(|oldest| oldest.name_any() != name) {
            anyhow::bail!("namespace {namespace} is TodoPlatform {}'s, and for one platform", other.name_any());
        }
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let before = list.items.into_iter().find(|one| one.name_any() == name);
        let after = match &before {
            // The whole spec is the file's; what is not in there is gone.
            Some(before) => {
                let mut changed = before.clone();
                changed.spec = wanted.spec.clone();
                api.replace(&name, &dry_run, &changed).await
            }
            None => api.create(&dry_run, wanted).await,
        };
        let after = after.map_err(|error| anyhow::anyhow!("TodoPlatform {name} is refused: {}", words(&error)))?;
        let what = match &before {
            Some(before) => What::of_change(changes::between(&untyped(before)?, &untyped(&after)?)),
            None => What::Created(None),
        };
        Ok((after, Entry { key: format!("TodoPlatform/{name}"), what }))
    }

    /// The objects of a platform, as far as the operator would do something about them.
    async fn objects(&self, platform: &TodoPlatform, settings: &Settings) -> anyhow::Result<Vec<Entry>> {
        let found = dereference::dereference(&self.client, platform, settings, &mut SecretsRead::default()).await?;
        let identity = Identity {
            namespace: self.namespace.clone(),
            name: platform.name_any(),
            uid: platform.uid().unwrap_or_default(),
        };
        let mut live = self.live(&found).await?;
        // What only waits for a while is looked at as if the wait were over.
        let gates = Gates {
            missing_secrets: found.missing.iter().map(|missing| missing.secret.clone()).collect(),
            dapr_ready: true,
            infrastructure_ready: true,
        };
        let desired = build::desired(&found.resolved);
        // So is what waits until something has gone, as the number of pods does for an autoscaler.
        let removals = plan::plan(&desired, &live, &identity, &gates).removals;
        live.objects.retain(|key, _| removals.iter().all(|removal| removal.key != *key));
        let plan = Plan { removals, ..plan::plan(&desired, &live, &identity, &gates) };
        let calls: Vec<_> = plan.steps.iter().map(|step| self.step(&identity, step, &live)).collect();
        let mut entries: Vec<Entry> = stream::iter(calls).buffered(CONCURRENCY).collect().await;
        entries.extend(entries::without_a_step(&plan));
        entries.extend(found.missing.iter().map(entries::missing));
        Ok(entries)
    }

    /// What exists of the platform, as the operator's watches would have it.
    async fn live(&self, found: &Dereferenced) -> anyhow::Result<Live> {
        let served = cluster::served(&self.client).await?;
        let late = late_kinds().into_iter().filter(|kind| served.contains(&kind.kind));
        let mut resources: BTreeMap<_, _> = base_kinds().into_iter().chain(late).map(|r| (r.kind.clone(), r)).collect();
        let lists = resources.values().map(|resource| self.list(resource));
        let lists: Vec<_> = stream::iter(lists.collect::<Vec<_>>()).buffered(CONCURRENCY).try_collect().await?;
        resources.insert("Secret".to_owned(), ApiResource::erase::<Secret>(&()));
        let objects = lists.into_iter().flatten().collect();
        Ok(Live { objects, resources, secrets: found.secrets.clone(), ..Live::default() })
    }

    async fn list(&self, resource: &ApiResource) -> anyhow::Result<Vec<(Key, Arc<DynamicObject>)>> {
        let labels = ListParams::default().labels(&managed_selector());
        let list = self.api(resource).list(&labels).await;
        let list = list.map_err(|error| client::cannot(&format!("list {}", resource.plural), &error))?;
        let keyed = |mut object: DynamicObject| {
            // Items of a list do not say what they are.
            object.types = Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
            (Key::of_live(&resource.kind, &object), Arc::new(object))
        };
        Ok(list.items.into_iter().map(keyed).collect())
    }

    async fn step(&self, identity: &Identity, step: &Step, live: &Live) -> Entry {
        let what = match &step.action {
            Action::Apply { body, .. } => match live.objects.get(&step.key) {
                Some(before) => self.change(step, body, before, step.scaling()).await,
                None => self.make(identity, step, body).await,
            },
            Action::Create(body) => What::Created(Some(entries::keys(body))),
            Action::Relabel(patch) => {
                let metadata = live.secrets.get(&step.key.name).map(|secret| secret.metadata.clone());
                What::of_change(entries::relabelling(&metadata.unwrap_or_default(), patch))
            }
        };
        Entry { key: step.key.to_string(), what }
    }

    async fn change(&self, step: &Step, body: &DynamicObject, before: &DynamicObject, scaling: Scaling) -> What {
        match self.try_apply(&step.resource, body, true).await {
            Ok(after) => What::of_change(changes::between(before, &entries::handed_over(after, scaling))),
            Err(error) => What::Refused(words(&error)),
        }
    }

    /// What the operator would do about what does not have its label: only what is not there, or is its own all the same, is
    /// written.
    async fn make(&self, identity: &Identity, step: &Step, body: &DynamicObject) -> What {
        let mut new = body.clone();
        new.metadata.resource_version = Some(OF_NOTHING.to_owned());
        let Err(refused) = self.try_apply(&step.resource, &new, false).await else {
            return What::Created(None);
        };
        match Class::of(&refused) {
            // Where its Role is not there yet either.
            Class::Missing if step.key.kind == "RoleBinding" => What::Created(None),
            Class::Conflict => match self.api(&step.resource).get_opt(&step.key.name).await {
                Ok(Some(present)) => match standing(identity, &present.metadata) {
                    Standing::Ours => self.change(step, body, &present, Scaling::Kept).await,
                    Standing::Leaving(reason) => entries::not_yet(&reason),
                    Standing::Foreign(message) => entries::left_alone(&message),
                },
                Ok(None) => What::Refused(words(&refused)),
                Err(error) => What::Refused(words(&error)),
            },
            _ => What::Refused(words(&refused)),
        }
    }

    async fn try_apply(
        &self,
        resource: &ApiResource,
        body: &DynamicObject,
        force: bool,
    ) -> kube::Result<DynamicObject> {
        let params = PatchParams { dry_run: true, force, ..PatchParams::apply(MANAGED_BY) };
        self.api(resource).patch(&body.name_any(), &params, &Patch::Apply(body)).await
    }

    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }
}

fn untyped(platform: &TodoPlatform) -> anyhow::Result<DynamicObject> {
    let value: Value = serde_json::to_value(platform)?;
    Ok(serde_json::from_value(value)?)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::build::Wave;

    /// An API server that answers nothing else.
    fn answering(code: u16, answer: &Value) -> Client {
        let answer = answer.to_string();
        let service = tower::service_fn(move |_: Request<Body>| {
            let body = Body::from(answer.clone().into_bytes());
            async move { Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap()) }
        });
        Client::new(service, "todo")
    }

    fn release(name: &str, watched: Option<&str>) -> Value {
        let mut env = vec![json!({"name": "IMAGE_REGISTRY", "value": name})];
        env.extend(watched.map(|namespace| json!({"name": "WATCH_NAMESPACE", "value": namespace})));
        let pod = json!({"spec": {"containers": [{"name": "operator", "env": env}]}});
        json!({"metadata": {"name": name}, "spec": {"selector": {}, "template": pod}})
    }

    #[tokio::test]
    async fn the_settings_are_those_of_the_operator_that_looks_after_the_platform() {
        let usual = Settings::default().image_registry;
        let (a, b, all) = (release("a", Some("team-a")), release("b", Some("todo")), release("c", None));
        for (releases, expected) in [
            (vec![], usual.as_str()),
            (vec![a.clone(), b.clone()], "b"),
            (vec![a.clone(), all], "c"),
            (vec![a], usual.as_str()),
        ] {
            let client = answering(200, &json!({"metadata": {}, "items": releases}));
            let found = settings(&client, "ops", "todo").await.unwrap();
            assert_eq!(found.image_registry, expected, "{releases:?}");
        }
    }

    #[tokio::test]
    async fn an_operator_that_may_not_be_looked_for_is_not_one_that_is_not_there() {
        for code in [403, 503] {
            let failure =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code});
            let failed = settings(&answering(code, &failure), "ops", "todo").await.unwrap_err();
            assert_eq!(failed.to_string(), "cannot look for the operator in namespace ops: no", "{code}");
        }
    }

    fn config_map(metadata: &Value, data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    }

    /// An API server that has one object or none. It refuses to apply over what has another resource version.
    fn server(present: Option<Value>) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let present = present.clone();
            async move {
                let is_read = request.method() == "GET";
                let is_forced = request.uri().query().is_some_and(|query| query.contains("force=true"));
                let sent = request.into_body().collect_bytes().await.unwrap();
                let failure = |code| json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code});
                let answer = match (present, is_read) {
                    (Some(present), true) => present,
                    (None, true) => failure(404),
                    (present, false) => {
                        let mut applied: Value = serde_json::from_slice(&sent).unwrap();
                        let version = applied["metadata"].as_object_mut().unwrap().remove("resourceVersion");
                        match present {
                            Some(_) if version.is_some() || !is_forced => failure(409),
                            Some(present) => {
                                applied["metadata"] = present["metadata"].clone();
                                applied
                            }
                            None => applied,
                        }
                    }
                };
                let code = answer["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(200);
                let response = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        Client::new(service, "todo")
    }

    #[tokio::test]
    async fn what_somebody_else_made_is_left_alone() {
        let (named, data) = (json!({"name": "x"}), json!({"a": "1"}));
        let body: DynamicObject = serde_json::from_value(config_map(&named, &data)).unwrap();
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&());
        let key = Key { kind: "ConfigMap".to_owned(), name: "x".to_owned() };
        let action = Action::Apply { body: Box::new(body), present: None, reads_anew: false };
        let step = Step { wave: Wave::Foundation, key, resource, action };
        let identity = Identity { namespace: "todo".to_owned(), name: "todo".to_owned(), uid: "1".to_owned() };
        let owner = json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform", "name": "todo", "uid": "1",
            "controller": true,
        });
        let ours = json!({"name": "x", "ownerReferences": [owner]});
        for (present, expected) in [
            (None, "+ ConfigMap/x\n"),
            (
                Some(config_map(&named, &data)),
                "… ConfigMap/x: left alone: somebody else made it; delete or rename it, and the operator will make its own\n",
            ),
            (Some(config_map(&ours, &json!({"a": "0"}))), "~ ConfigMap/x\n└─ ~ data.a: \"0\" → \"1\"\n"),
        ] {
            let asker = Asker { client: server(present), namespace: "todo".to_owned() };
            let entry = asker.step(&identity, &step, &Live::default()).await;
            assert_eq!(entries::report(&[entry], Paint::PLAIN).0, expected);
        }
    }
}
