//! Objects as the watches see them, by namespace, so that one platform's objects are found without looking at all others.
//!
//! They are kept as JSON, which takes a tenth of the memory that the values have which it stands for, and unpacked for each
//! look at a namespace.

use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use kube_runtime::watcher::Event;
use serde::{Serialize, de::DeserializeOwned};

type Objects = HashMap<String, BTreeMap<Box<str>, Arc<Packed>>>;

/// All objects of one kind that carry our label.
#[derive(Debug)]
pub struct Cache<K> {
    inner: RwLock<Inner>,
    kind: PhantomData<fn() -> K>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: Objects,
    /// What a list that is under way has brought so far; shown only once it is complete, as half a list would look as if
    /// all others had been deleted.
    pending: Option<Objects>,
    complete: bool,
}

/// An object.
#[derive(Debug)]
struct Packed {
    uid: Box<str>,
    version: Box<str>,
    json: Box<[u8]>,
    is_verified: bool,
}

/// An object of a cache.
#[derive(Debug)]
pub struct Cached<K> {
    /// The object, or what was kept of it when it was verified.
    pub object: K,
    /// Whether it was found to be as it should be, and has not changed since.
    pub is_verified: bool,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { inner: RwLock::default(), kind: PhantomData }
    }
}

impl<K: Resource + Serialize + DeserializeOwned> Cache<K> {
    /// Takes in an event. Answers what the object is called and whose it is that is new, gone or different.
    pub fn take(&self, event: Event<K>) -> Vec<ObjectMeta> {
        let mut inner = self.write();
        match event {
            Event::Init => {
                inner.pending = Some(HashMap::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let known = find(&inner.objects, object.meta()).filter(|known| known.is_same(object.meta())).cloned();
                let packed = known.unwrap_or_else(|| Arc::new(Packed::new(&object, false)));
                if let Some(pending) = &mut inner.pending {
                    insert(pending, object.meta(), packed);
                }
                Vec::new()
            }
            Event::InitDone => {
                let fresh = inner.pending.take().unwrap_or_default();
                let stale = std::mem::replace(&mut inner.objects, fresh);
                inner.complete = true;
                differing::<K>(&stale, &inner.objects)
            }
            Event::Apply(object) => {
                let known = find(&inner.objects, object.meta());
                if known.is_some_and(|known| known.is_same(object.meta())) {
                    return Vec::new();
                }
                insert(&mut inner.objects, object.meta(), Arc::new(Packed::new(&object, false)));
                vec![object.meta().clone()]
            }
            Event::Delete(object) => {
                remove(&mut inner.objects, object.meta().namespace.as_deref().unwrap_or_default(), &object.name_any());
                vec![object.meta().clone()]
            }
        }
    }

    /// Takes away exactly this object, not one that took its name since.
    pub fn forget(&self, namespace: &str, name: &str, uid: &str) {
        let mut inner = self.write();
        let known = inner.objects.get(namespace).and_then(|all| all.get(name));
        if known.is_some_and(|known| &*known.uid == uid) {
            remove(&mut inner.objects, namespace, name);
        }
    }

    /// Notes that an object, seen in this version, is as it should be, and keeps only `slim` of it until it changes.
    pub fn verified(&self, namespace: &str, name: &str, version: &str, slim: impl FnOnce(&K) -> K) {
        let mut inner = self.write();
        let known = inner.objects.get_mut(namespace).and_then(|all| all.get_mut(name));
        if let Some(known) = known.filter(|known| &*known.version == version && !known.is_verified) {
            *known = Arc::new(Packed::new(&slim(&known.unpack()), true));
        }
    }

    /// Whether all objects have been listed at least once.
    pub fn is_complete(&self) -> bool {
        self.read().complete
    }

    /// The objects of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Cached<K>> {
        let packed: Vec<_> =
            self.read().objects.get(namespace).map(|all| all.values().cloned().collect()).unwrap_or_default();
        packed.iter().map(|one| Cached { object: one.unpack(), is_verified: one.is_verified }).collect()
    }

    // A thread that panicked left whole maps behind: each change above is one insertion or removal.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packed {
    fn new<K: Resource + Serialize>(object: &K, is_verified: bool) -> Self {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let json = serde_json::to_vec(object).expect("objects have texts as keys, so they can be JSON");
        let metadata = object.meta();
        Self { uid: text(&metadata.uid), version: text(&metadata.resource_version), json: json.into(), is_verified }
    }

    fn unpack<K: DeserializeOwned>(&self) -> K {
        serde_json::from_slice(&self.json).expect("what was packed can be unpacked")
    }

    fn is_same(&self, metadata: &ObjectMeta) -> bool {
        let same = |known: &str, text: Option<&str>| known == text.unwrap_or_default();
        same(&self.uid, metadata.uid.as_deref()) && same(&self.version, metadata.resource_version.as_deref())
    }
}

fn find<'a>(objects: &'a Objects, metadata: &ObjectMeta) -> Option<&'a Arc<Packed>> {
    objects.get(metadata.namespace.as_deref().unwrap_or_default())?.get(metadata.name.as_deref().unwrap_or_default())
}

fn insert(objects: &mut Objects, metadata: &ObjectMeta, packed: Arc<Packed>) {
    let (namespace, name) = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    objects.entry(namespace).or_default().insert(name.into(), packed);
}

fn remove(objects: &mut Objects, namespace: &str, name: &str) {
    if let Some(all) = objects.get_mut(namespace) {
        all.remove(name);
        if all.is_empty() {
            objects.remove(namespace);
        }
    }
}

fn differing<K: Resource + DeserializeOwned>(stale: &Objects, fresh: &Objects) -> Vec<ObjectMeta> {
    let find = |objects: &Objects, namespace: &str, name: &str| objects.get(namespace)?.get(name).cloned();
    let same = |one: &Packed, other: &Packed| one.uid == other.uid && one.version == other.version;
    let changed = entries(fresh)
        .filter(|(namespace, name, packed)| find(stale, namespace, name).is_none_or(|before| !same(&before, packed)));
    let gone = entries(stale).filter(|(namespace, name, _)| find(fresh, namespace, name).is_none());
    changed.chain(gone).map(|(_, _, packed)| packed.unpack::<K>().meta().clone()).collect()
}

fn entries(objects: &Objects) -> impl Iterator<Item = (&str, &str, &Packed)> {
    objects
        .iter()
        .flat_map(|(namespace, all)| all.iter().map(move |(name, packed)| (namespace.as_str(), &**name, &**packed)))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("ns".to_owned());
        object.metadata.name = Some(name.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    fn sorted(mut names: Vec<String>) -> Vec<String> {
        names.sort();
        names
    }

    fn names(news: &[ObjectMeta]) -> Vec<String> {
        sorted(news.iter().filter_map(|metadata| metadata.name.clone()).collect())
    }

    fn known(cache: &Cache<ConfigMap>) -> Vec<String> {
        sorted(cache.in_namespace("ns").iter().map(|cached| cached.object.name_any()).collect())
    }

    #[test]
    fn half_a_list_never_looks_as_if_the_rest_were_deleted() {
        let cache = Cache::<ConfigMap>::default();
        for event in [Event::Init, Event::InitApply(object("a", "1")), Event::InitApply(object("b", "1"))] {
            cache.take(event);
        }
        assert!(!cache.is_complete());
        cache.take(Event::InitDone);
        cache.take(Event::Init);
        cache.take(Event::InitApply(object("a", "1")));
        assert_eq!(known(&cache), ["a", "b"]);
        assert_eq!(names(&cache.take(Event::InitDone)), ["b"], "only what is gone is news");
        assert_eq!(known(&cache), ["a"]);
    }

    #[test]
    fn what_is_gone_is_forgotten_but_not_another_of_its_name() {
        let cache = Cache::<ConfigMap>::default();
        let mut one = object("a", "1");
        one.metadata.uid = Some("first".to_owned());
        cache.take(Event::Apply(one));
        cache.forget("ns", "a", "second");
        assert_eq!(known(&cache), ["a"]);
        cache.forget("ns", "a", "first");
        assert!(cache.in_namespace("ns").is_empty());
    }

    #[test]
    fn an_object_that_did_not_change_is_no_news() {
        let cache = Cache::<ConfigMap>::default();
        assert_eq!(names(&cache.take(Event::Apply(object("a", "1")))), ["a"]);
        assert!(cache.take(Event::Apply(object("a", "1"))).is_empty());
        assert_eq!(names(&cache.take(Event::Apply(object("a", "2")))), ["a"]);
        assert_eq!(names(&cache.take(Event::Delete(object("a", "3")))), ["a"]);
        assert!(cache.in_namespace("ns").is_empty() && cache.in_namespace("other").is_empty());
    }

    #[test]
    fn of_what_was_verified_only_a_part_is_kept_until_it_changes() {
        let cache = Cache::<ConfigMap>::default();
        let whole =
            |version: &str| ConfigMap { data: Some([("a".to_owned(), "b".to_owned())].into()), ..object("a", version) };
        let slim = |object: &ConfigMap| ConfigMap { data: None, ..object.clone() };
        let kept = || {
            let all = cache.in_namespace("ns");
            all.iter().map(|cached| (cached.object.data.is_some(), cached.is_verified)).collect::<Vec<_>>()
        };
        cache.take(Event::Apply(whole("2")));
        cache.verified("ns", "a", "1", slim);
        assert_eq!(kept(), [(true, false)], "it has changed since it was looked at");
        cache.verified("ns", "a", "2", slim);
        assert_eq!(kept(), [(false, true)]);
        for event in [Event::Init, Event::InitApply(whole("2")), Event::InitDone, Event::Apply(whole("2"))] {
            assert!(cache.take(event).is_empty());
        }
        assert_eq!(kept(), [(false, true)], "another list does not bring it back");
        cache.take(Event::Apply(whole("3")));
        assert_eq!(kept(), [(true, false)]);
    }
}
