//! Objects as the watches see them, by namespace, so that one platform's objects are found without looking at all others.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, RwLock},
};

use kube::{Resource, ResourceExt};
use kube_runtime::watcher::Event;

type Objects<K> = HashMap<String, BTreeMap<String, Arc<K>>>;

/// All objects of one kind that carry our label.
#[derive(Debug)]
pub struct Cache<K> {
    inner: RwLock<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    objects: Objects<K>,
    /// What a list that is under way has brought so far; shown only once it is complete, as half a list would look as if
    /// all others had been deleted.
    pending: Option<Objects<K>>,
    complete: bool,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { inner: RwLock::new(Inner { objects: HashMap::new(), pending: None, complete: false }) }
    }
}

impl<K: Resource> Cache<K> {
    /// Takes in an event. Answers the object that it is about if that object is new, gone or different.
    pub fn take(&self, event: Event<K>) -> Vec<Arc<K>> {
        // A thread that panicked left whole maps behind: each change below is one insertion or removal.
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Init => {
                inner.pending = Some(HashMap::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let object = Arc::new(object);
                if let Some(pending) = &mut inner.pending {
                    insert(pending, Arc::clone(&object));
                }
                Vec::new()
            }
            Event::InitDone => {
                let fresh = inner.pending.take().unwrap_or_default();
                let stale = std::mem::replace(&mut inner.objects, fresh);
                inner.complete = true;
                differing(&stale, &inner.objects)
            }
            Event::Apply(object) => {
                let object = Arc::new(object);
                let before = insert(&mut inner.objects, Arc::clone(&object));
                if before.is_some_and(|before| same_version(&*before, &*object)) { Vec::new() } else { vec![object] }
            }
            Event::Delete(object) => {
                let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                remove(&mut inner.objects, &namespace, &name);
                vec![Arc::new(object)]
            }
        }
    }

    /// Takes away exactly this object, not one that took its name since.
    pub fn forget(&self, namespace: &str, name: &str, uid: &str) {
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = inner.objects.get(namespace).and_then(|all| all.get(name)).and_then(|object| object.uid());
        if known.as_deref() == Some(uid) {
            remove(&mut inner.objects, namespace, name);
        }
    }

    /// Whether all objects have been listed at least once.
    pub fn is_complete(&self) -> bool {
        self.read(|inner| inner.complete)
    }

    /// The objects of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read(|inner| inner.objects.get(namespace).map(|all| all.values().cloned().collect()).unwrap_or_default())
    }

    fn read<T>(&self, question: impl FnOnce(&Inner<K>) -> T) -> T {
        question(&self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn insert<K: Resource>(objects: &mut Objects<K>, object: Arc<K>) -> Option<Arc<K>> {
    objects.entry(object.namespace().unwrap_or_default()).or_default().insert(object.name_any(), object)
}

fn remove<K>(objects: &mut Objects<K>, namespace: &str, name: &str) {
    if let Some(all) = objects.get_mut(namespace) {
        all.remove(name);
        if all.is_empty() {
            objects.remove(namespace);
        }
    }
}

fn same_version<K: Resource>(one: &K, other: &K) -> bool {
    let version = |object: &K| (object.meta().uid.clone(), object.meta().resource_version.clone());
    version(one) == version(other)
}

fn differing<K: Resource>(stale: &Objects<K>, fresh: &Objects<K>) -> Vec<Arc<K>> {
    let find = |objects: &Objects<K>, object: &K| {
        objects.get(&object.namespace().unwrap_or_default()).and_then(|all| all.get(&object.name_any()).cloned())
    };
    let changed = fresh
        .values()
        .flat_map(BTreeMap::values)
        .filter(|object| find(stale, object).is_none_or(|before| !same_version(&*before, &**object)));
    let gone = stale.values().flat_map(BTreeMap::values).filter(|object| find(fresh, object).is_none());
    changed.chain(gone).cloned().collect()
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

    fn names(objects: &[Arc<ConfigMap>]) -> Vec<String> {
        let mut names: Vec<_> = objects.iter().map(|object| object.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn half_a_list_never_looks_as_if_the_rest_were_deleted() {
        let cache = Cache::default();
        for event in [Event::Init, Event::InitApply(object("a", "1")), Event::InitApply(object("b", "1"))] {
            cache.take(event);
        }
        assert!(!cache.is_complete());
        cache.take(Event::InitDone);
        cache.take(Event::Init);
        cache.take(Event::InitApply(object("a", "1")));
        assert_eq!(names(&cache.in_namespace("ns")), ["a", "b"]);
        assert_eq!(names(&cache.take(Event::InitDone)), ["b"], "only what is gone is news");
        assert_eq!(names(&cache.in_namespace("ns")), ["a"]);
    }

    #[test]
    fn what_is_gone_is_forgotten_but_not_another_of_its_name() {
        let cache = Cache::default();
        let mut one = object("a", "1");
        one.metadata.uid = Some("first".to_owned());
        cache.take(Event::Apply(one));
        cache.forget("ns", "a", "second");
        assert_eq!(names(&cache.in_namespace("ns")), ["a"]);
        cache.forget("ns", "a", "first");
        assert!(cache.in_namespace("ns").is_empty());
    }

    #[test]
    fn an_object_that_did_not_change_is_no_news() {
        let cache = Cache::default();
        assert_eq!(names(&cache.take(Event::Apply(object("a", "1")))), ["a"]);
        assert!(cache.take(Event::Apply(object("a", "1"))).is_empty());
        assert_eq!(names(&cache.take(Event::Apply(object("a", "2")))), ["a"]);
        assert_eq!(names(&cache.take(Event::Delete(object("a", "3")))), ["a"]);
        assert!(cache.in_namespace("ns").is_empty() && cache.in_namespace("other").is_empty());
    }
}
