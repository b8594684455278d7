//! Objects as the watches see them, by namespace, so that one platform's objects are found without looking at all others.
//!
//! They are kept as JSON, which takes a tenth of the memory that the values have which it stands for, and unpacked for each
//! look at a namespace.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    marker::PhantomData,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use kube_runtime::watcher::Event;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The objects of each namespace, by name. Most have a few of a kind, for which a list takes a tenth of what a map does.
type Objects = HashMap<Box<str>, Vec<Arc<Packed>>>;

/// All objects of one kind that carry our label. Of those that were verified `S` is kept.
#[derive(Debug)]
pub struct Cache<K, S = K> {
    inner: RwLock<Inner>,
    kind: PhantomData<fn() -> (K, S)>,
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
    name: Box<str>,
    /// Hash of its UID and resource version, so that it need not be unpacked to see that it is the same.
    state: u64,
    /// The whole object, or what is kept of it.
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

impl<K, S> Default for Cache<K, S> {
    fn default() -> Self {
        Self { inner: RwLock::default(), kind: PhantomData }
    }
}

impl<K, S> Cache<K, S>
where
    K: Resource + Serialize + DeserializeOwned + From<S>,
    S: Serialize + DeserializeOwned,
{
    /// Takes in an event. Returns what the object is called and whose it is that is new, gone or different.
    pub fn take(&self, event: Event<K>) -> Vec<ObjectMeta> {
        let mut inner = self.write();
        match event {
            Event::Init => {
                inner.pending = Some(HashMap::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let known =
                    find(&inner.objects, object.meta()).filter(|known| known.state == state(object.meta())).cloned();
                let packed = known.unwrap_or_else(|| Arc::new(Packed::whole(&object)));
                if let Some(pending) = &mut inner.pending {
                    insert(pending, object.meta(), packed);
                }
                Vec::new()
            }
            Event::InitDone => {
                let fresh = inner.pending.take().unwrap_or_default();
                let stale = std::mem::replace(&mut inner.objects, fresh);
                inner.complete = true;
                differing(&stale, &inner.objects).map(Packed::metadata::<K, S>).collect()
            }
            Event::Apply(object) => {
                let known = find(&inner.objects, object.meta());
                if known.is_some_and(|known| known.state == state(object.meta())) {
                    return Vec::new();
                }
                insert(&mut inner.objects, object.meta(), Arc::new(Packed::whole(&object)));
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
        let known = place(&inner.objects, namespace, name).map(|known| known.metadata::<K, S>());
        if known.is_some_and(|known| known.uid.as_deref() == Some(uid)) {
            remove(&mut inner.objects, namespace, name);
        }
    }

    /// Notes that an object, as it was seen, is as it should be, and keeps only `slim` of it until it changes.
    pub fn note_verified(&self, seen: &K, slim: impl FnOnce(&K) -> S) {
        let (namespace, name) = names(seen.meta());
        let mut inner = self.write();
        let known = place_mut(&mut inner.objects, namespace, name);
        if let Some(known) = known.filter(|known| !known.is_verified && known.state == state(seen.meta())) {
            *known = Arc::new(known.slimmed(&slim(seen)));
        }
    }

    /// Whether all objects have been listed at least once.
    pub fn is_complete(&self) -> bool {
        self.read().complete
    }

    /// The objects of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Cached<K>> {
        let packed = self.read().objects.get(namespace).cloned().unwrap_or_default();
        packed.iter().map(|one| Cached { object: one.unpack::<K, S>(), is_verified: one.is_verified }).collect()
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
    fn whole<K: Resource + Serialize>(object: &K) -> Self {
        let name = object.meta().name.as_deref().unwrap_or_default().into();
        Self { name, state: state(object.meta()), json: json(object), is_verified: false }
    }

    /// The same object with only `slim` of it.
    fn slimmed(&self, slim: &impl Serialize) -> Self {
        Self { name: self.name.clone(), state: self.state, json: json(slim), is_verified: true }
    }

    /// The metadata, or what is kept of it. Of a whole object nothing else is read.
    fn metadata<K: Resource + From<S>, S: DeserializeOwned>(&self) -> ObjectMeta {
        let metadata = if self.is_verified {
            serde_json::from_slice(&self.json).map(|slim: S| K::from(slim).meta().clone())
        } else {
            serde_json::from_slice(&self.json).map(|Head { metadata }| metadata)
        };
        metadata.expect("what was packed can be unpacked")
    }

    fn unpack<K: DeserializeOwned + From<S>, S: DeserializeOwned>(&self) -> K {
        let unpacked = if self.is_verified {
            serde_json::from_slice(&self.json).map(S::into)
        } else {
            serde_json::from_slice(&self.json)
        };
        unpacked.expect("what was packed can be unpacked")
    }
}

/// The part of an object that tells whose it is.
#[derive(Deserialize)]
struct Head {
    metadata: ObjectMeta,
}

fn json(object: &impl Serialize) -> Box<[u8]> {
    serde_json::to_vec(object).expect("objects have texts as keys, so they can be JSON").into()
}

fn state(metadata: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&metadata.uid, &metadata.resource_version).hash(&mut hasher);
    hasher.finish()
}

fn find<'a>(objects: &'a Objects, metadata: &ObjectMeta) -> Option<&'a Arc<Packed>> {
    let (namespace, name) = names(metadata);
    place(objects, namespace, name)
}

fn place<'a>(objects: &'a Objects, namespace: &str, name: &str) -> Option<&'a Arc<Packed>> {
    let all = objects.get(namespace)?;
    all.get(position(all, name).ok()?)
}

fn place_mut<'a>(objects: &'a mut Objects, namespace: &str, name: &str) -> Option<&'a mut Arc<Packed>> {
    let all = objects.get_mut(namespace)?;
    let position = position(all, name).ok()?;
    all.get_mut(position)
}

fn insert(objects: &mut Objects, metadata: &ObjectMeta, packed: Arc<Packed>) {
    let (namespace, name) = names(metadata);
    let all = objects.entry(namespace.into()).or_default();
    match position(all, name) {
        Ok(known) => all[known] = packed,
        Err(free) => all.insert(free, packed),
    }
}

fn remove(objects: &mut Objects, namespace: &str, name: &str) {
    if let Some(all) = objects.get_mut(namespace) {
        all.retain(|one| &*one.name != name);
        if all.is_empty() {
            objects.remove(namespace);
        }
    }
}

/// Where the object of this name is, or would be.
fn position(all: &[Arc<Packed>], name: &str) -> Result<usize, usize> {
    all.binary_search_by(|one| (*one.name).cmp(name))
}

fn names(metadata: &ObjectMeta) -> (&str, &str) {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// What is new, gone or different.
fn differing<'a>(stale: &'a Objects, fresh: &'a Objects) -> impl Iterator<Item = &'a Packed> {
    let changed = entries(fresh)
        .filter(|(namespace, one)| place(stale, namespace, &one.name).is_none_or(|before| before.state != one.state));
    let gone = entries(stale).filter(|(namespace, one)| place(fresh, namespace, &one.name).is_none());
    changed.chain(gone).map(|(_, packed)| packed)
}

fn entries(objects: &Objects) -> impl Iterator<Item = (&str, &Packed)> {
    objects.iter().flat_map(|(namespace, all)| all.iter().map(move |packed| (&**namespace, &**packed)))
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

    fn names_of(news: &[ObjectMeta]) -> Vec<String> {
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
        assert_eq!(names_of(&cache.take(Event::InitDone)), ["b"], "only what is gone is news");
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
        assert_eq!(names_of(&cache.take(Event::Apply(object("a", "1")))), ["a"]);
        assert!(cache.take(Event::Apply(object("a", "1"))).is_empty());
        assert_eq!(names_of(&cache.take(Event::Apply(object("a", "2")))), ["a"]);
        assert_eq!(names_of(&cache.take(Event::Delete(object("a", "3")))), ["a"]);
        assert!(cache.in_namespace("ns").is_empty() && cache.in_namespace("other").is_empty());
    }

    /// What is kept of a verified object.
    #[derive(Deserialize, Serialize)]
    struct Part(ObjectMeta);

    impl From<Part> for ConfigMap {
        fn from(Part(metadata): Part) -> Self {
            Self { metadata, ..Self::default() }
        }
    }

    #[test]
    fn of_what_was_verified_only_a_part_is_kept_until_it_changes() {
        let cache = Cache::<ConfigMap, Part>::default();
        let whole =
            |version: &str| ConfigMap { data: Some([("a".to_owned(), "b".to_owned())].into()), ..object("a", version) };
        let slim = |object: &ConfigMap| Part(object.metadata.clone());
        let kept = || {
            let all = cache.in_namespace("ns");
            all.iter().map(|cached| (cached.object.data.is_some(), cached.is_verified)).collect::<Vec<_>>()
        };
        cache.take(Event::Apply(whole("2")));
        cache.note_verified(&whole("1"), slim);
        assert_eq!(kept(), [(true, false)], "it has changed since it was looked at");
        cache.note_verified(&whole("2"), slim);
        assert_eq!(kept(), [(false, true)]);
        for event in [Event::Init, Event::InitApply(whole("2")), Event::InitDone, Event::Apply(whole("2"))] {
            assert!(cache.take(event).is_empty());
        }
        assert_eq!(kept(), [(false, true)], "another list does not bring it back");
        cache.take(Event::Apply(whole("3")));
        assert_eq!(kept(), [(true, false)]);
    }
}
