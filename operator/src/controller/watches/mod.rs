//! One watch per kind, each with its own back-off, so that one that fails delays no other.

pub mod cache;
mod failing;
mod late;
pub(super) mod relist;
mod scope;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicObject},
};
use kube_runtime::{WatchStreamExt, reflector::ObjectRef, watcher, watcher::Event};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use super::kinds::{base_kinds, late_kinds};
use super::{Guarded, isolation::unending};
use crate::{
    class::Class,
    dereference::cluster::Cluster,
    labels::managed_selector,
    names::platform_label,
    plan::{
        Key, Live, ownership,
        slim::{Slim, slim},
    },
    runtime::metrics,
};
use cache::Cache;
use failing::Failing;
pub use scope::Scope;

/// The kind that says what there is to do.
const PLATFORM: &str = "TodoPlatform";
/// Before a watch begins anew that a mistake has ended.
const BREATH: Duration = Duration::from_secs(1);

/// How long passes wait for watches that do not begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is watched.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// Namespaces.
    pub scope: Scope,
    /// Namespace of Dapr's control plane.
    pub dapr_namespace: String,
    /// How often it is listed anew.
    pub relist: Duration,
}

/// The watches and what they see.
pub struct Watches {
    client: Client,
    config: WatchConfig,
    kinds: RwLock<BTreeMap<String, Watched>>,
    pods: Arc<Cache<Pod>>,
    failing: Arc<Failing>,
    triggers: mpsc::Sender<ObjectRef<Guarded>>,
    cluster: watch::Sender<Cluster>,
    asked: AtomicBool,
    platforms_listed: AtomicBool,
    hurry: Notify,
    started: Instant,
    stop: CancellationToken,
}

struct Watched {
    resource: ApiResource,
    cache: Arc<Cache<DynamicObject, Slim>>,
    stop: CancellationToken,
}

impl Watches {
    /// Begins to watch the kinds that every cluster has. Changes go to `triggers` as the platform that they concern.
    pub fn start(
        client: Client,
        config: WatchConfig,
        triggers: mpsc::Sender<ObjectRef<Guarded>>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let watches = Arc::new(Self {
            client,
            config,
            kinds: RwLock::default(),
            pods: Arc::default(),
            failing: Arc::default(),
            triggers,
            cluster: watch::Sender::default(),
            asked: AtomicBool::new(false),
            platforms_listed: AtomicBool::new(false),
            hurry: Notify::new(),
            started: Instant::now(),
            stop,
        });
        for resource in base_kinds() {
            watches.add(resource);
        }
        let pods = watches
            .config
            .scope
            .api(|| Api::all(watches.client.clone()), |namespace| Api::namespaced(watches.client.clone(), namespace));
        watches.spawn(pods, "Pod", Arc::clone(&watches.pods), trim_pod, watches.stop.clone());
        let late = Arc::clone(&watches);
        tokio::spawn(async move {
            unending(BREATH, || late.look_for_late_kinds(), || metrics::error(Class::Bug)).await;
        });
        watches
    }

    /// What the cluster has of the parts that may come late.
    pub fn cluster(&self) -> watch::Receiver<Cluster> {
        self.cluster.subscribe()
    }

    /// Whether the cluster has been asked for its kinds and all objects of all of them are known, the platforms included.
    pub fn are_complete(&self) -> bool {
        self.asked.load(Ordering::Acquire)
            && self.platforms_listed.load(Ordering::Acquire)
            && self.pods.is_complete()
            && self.kinds().values().all(|watched| watched.cache.is_complete())
    }

    /// Whether passes may begin. A watch that fails for good holds up the objects of its kind, and nothing else.
    pub fn may_begin(&self) -> bool {
        self.are_complete() || self.started.elapsed() > PATIENCE
    }

    /// Watches that fail now, and why.
    pub fn failing(&self) -> BTreeMap<String, String> {
        self.failing.all()
    }

    /// Whether it is known which platforms there are. While their watch fails, one that is still known may be gone, and what the
    /// garbage collector takes away of it would be made again.
    pub fn platforms_are_known(&self) -> bool {
        !self.failing.has(PLATFORM)
    }

    /// Notes what came of the watch of platforms, which runs elsewhere.
    pub fn note_platforms<K>(&self, event: &watcher::Result<Event<K>>) {
        if matches!(event, Ok(Event::InitDone)) {
            self.platforms_listed.store(true, Ordering::Release);
        }
        self.failing.note(PLATFORM, event);
    }

    /// The objects of a namespace. A kind whose first list is not complete is left out, as if it did not exist yet.
    pub fn live(&self, namespace: &str) -> Live {
        let mut live = Live::default();
        for (kind, watched) in self.kinds().iter().filter(|(_, watched)| watched.cache.is_complete()) {
            live.resources.insert(kind.clone(), watched.resource.clone());
            for cached in watched.cache.in_namespace(namespace) {
                let key = Key::of_live(kind, &cached.object);
                if cached.is_verified {
                    live.verified.insert(key.clone());
                }
                live.objects.insert(key, Arc::new(cached.object));
            }
        }
        // Made once and never changed, so they are read one by one and not watched.
        live.resources.insert("Secret".to_owned(), ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&()));
        live
    }

    /// The pods of a namespace.
    pub fn pods(&self, namespace: &str) -> Vec<Arc<Pod>> {
        self.pods.in_namespace(namespace).into_iter().map(|cached| Arc::new(cached.object)).collect()
    }

    /// Notes that an object of this kind, as it was seen, is as it should be.
    pub fn note_verified(&self, kind: &str, seen: &DynamicObject) {
        if let Some(watched) = self.kinds().get(kind) {
            watched.cache.note_verified(seen, slim);
        }
    }

    /// Forgets an object that the API server says is gone. The event that says so may be lost.
    pub fn forget(&self, namespace: &str, key: &Key, uid: &str) {
        if let Some(watched) = self.kinds().get(&key.kind) {
            watched.cache.forget(namespace, &key.name, uid);
        }
    }

    fn kinds(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Watched>> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, resource: ApiResource) -> Arc<Cache<DynamicObject, Slim>> {
        let (cache, stop) = (Arc::new(Cache::default()), self.stop.child_token());
        let api = self.config.scope.api(
            || Api::all_with(self.client.clone(), &resource),
            |namespace| Api::namespaced_with(self.client.clone(), namespace, &resource),
        );
        self.spawn(api, &resource.kind, Arc::clone(&cache), |_| {}, stop.clone());
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(resource.kind.clone(), Watched { resource, cache: Arc::clone(&cache), stop });
        cache
    }

    fn spawn<K, S>(&self, api: Api<K>, kind: &str, cache: Arc<Cache<K, S>>, trim: fn(&mut K), stop: CancellationToken)
    where
        K: Resource + Clone + Serialize + DeserializeOwned + From<S> + Debug + Send + 'static,
        S: Serialize + DeserializeOwned + 'static,
    {
        metrics::watch_begins(kind);
        let config = watcher::Config::default().labels(&managed_selector());
        let watch = Watch {
            kind: kind.to_owned(),
            config: self.config.scope.narrow(config),
            relist: self.config.relist,
            cache,
            trim,
            failing: Arc::clone(&self.failing),
            triggers: self.triggers.clone(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = watch.run_on(api) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// One watch.
struct Watch<K, S> {
    kind: String,
    config: watcher::Config,
    relist: Duration,
    cache: Arc<Cache<K, S>>,
    /// Takes away what is never looked at.
    trim: fn(&mut K),
    failing: Arc<Failing>,
    triggers: mpsc::Sender<ObjectRef<Guarded>>,
}

impl<K, S> Watch<K, S>
where
    K: Resource + Clone + Serialize + DeserializeOwned + From<S> + Debug + Send + 'static,
    S: Serialize + DeserializeOwned + 'static,
{
    /// Watches on after a mistake in the operator, which would else leave it blind for this kind until a restart.
    async fn run_on(self, api: Api<K>) {
        let mistaken =
            || self.failing.note_failure(&self.kind, Class::Bug, "a mistake in the operator ended it".to_owned());
        unending(BREATH, || self.run(api.clone()), mistaken).await;
    }

    async fn run(&self, api: Api<K>) {
        let trim = self.trim;
        let mut events = pin!(relist::watch(api, self.config.clone(), self.relist).modify(move |object| {
            // Half of each object's size, and never looked at.
            object.meta_mut().managed_fields = None;
            trim(object);
        }));
        while let Some(event) = events.next().await {
            self.failing.note(&self.kind, &event);
            let Ok(event) = event else { continue };
            for metadata in self.cache.take(event) {
                if let Some(platform) = platform_of(&metadata) {
                    // Fails only when the controller is gone, and then nobody waits for triggers.
                    let _ = self.triggers.send(platform).await;
                }
            }
        }
    }
}

/// Leaves of what a pod is to be only which containers it has.
fn trim_pod(pod: &mut Pod) {
    let named = |containers: Vec<Container>| {
        let name = |container: Container| Container { name: container.name, ..Container::default() };
        containers.into_iter().map(name).collect()
    };
    pod.metadata.annotations = None;
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        containers: named(spec.containers),
        init_containers: spec.init_containers.map(named),
        ..PodSpec::default()
    });
}

/// The platform that an object is a part of: its owner, else the one that its label names.
fn platform_of(metadata: &ObjectMeta) -> Option<ObjectRef<Guarded>> {
    let owner = metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true) && ownership::is_platform(&owner.api_version, &owner.kind));
    let labelled = || metadata.labels.as_ref()?.get(&platform_label()).cloned();
    let name = owner.map(|owner| owner.name.clone()).or_else(labelled)?;
    Some(ObjectRef::new(&name).within(metadata.namespace.as_deref()?))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    #[test]
    fn a_change_concerns_the_owner_and_for_retained_data_the_platform_that_its_label_names() {
        let mut metadata = ObjectMeta {
            namespace: Some("ns".to_owned()),
            labels: Some([(platform_label(), "labelled".to_owned())].into()),
            ..ObjectMeta::default()
        };
        assert_eq!(platform_of(&metadata), Some(ObjectRef::new("labelled").within("ns")));
        metadata.owner_references = Some(vec![OwnerReference {
            api_version: "todoplatform.dev/v1alpha1".to_owned(),
            kind: "TodoPlatform".to_owned(),
            name: "owner".to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        }]);
        assert_eq!(platform_of(&metadata), Some(ObjectRef::new("owner").within("ns")));
        assert_eq!(platform_of(&ObjectMeta::default()), None);
    }
}
