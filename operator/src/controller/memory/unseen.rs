//! What was written and the watches have not brought yet. A status that is told before would say of it that it is not there,
//! and be written again a moment later.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    plan::{Key, Live},
    resource_version::or_first,
};

/// How long after a write its events are waited for. One that comes later has been lost, or its watch does not work.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes of one platform that no watch has brought yet.
#[derive(Debug, Default)]
pub(in crate::controller) struct Unseen {
    versions: BTreeMap<Key, u64>,
    until: Option<Instant>,
}

impl Unseen {
    /// Notes objects that were written, and the resource versions that this left.
    pub(in crate::controller) fn wrote(&mut self, objects: impl IntoIterator<Item = (Key, u64)>, now: Instant) {
        for (key, version) in objects {
            self.versions.insert(key, version);
            self.until = Some(now + PATIENCE);
        }
    }

    /// Forgets what the watches have brought.
    pub(in crate::controller) fn look(&mut self, live: &Live) {
        self.versions.retain(|key, written| {
            let seen = live.objects.get(key).map(|object| or_first(object.metadata.resource_version.as_deref()));
            seen.is_none_or(|seen| seen < *written)
        });
    }

    /// Whether something is still waited for.
    pub(in crate::controller) fn is_awaited(&self, now: Instant) -> bool {
        !self.versions.is_empty() && self.until.is_some_and(|until| now < until)
    }

    /// Whether this object is one of what is still waited for.
    pub(in crate::controller) fn is_awaited_of(&self, key: &Key, now: Instant) -> bool {
        self.versions.contains_key(key) && self.is_awaited(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Service;
    use kube::core::{ApiResource, DynamicObject};

    use super::*;

    fn key() -> Key {
        Key { kind: "Service".to_owned(), name: "backend".to_owned() }
    }

    fn seen_in(version: &str) -> Live {
        let mut object = DynamicObject::new("backend", &ApiResource::erase::<Service>(&()));
        object.metadata.resource_version = Some(version.to_owned());
        Live { objects: [(key(), Arc::new(object))].into(), ..Live::default() }
    }

    #[test]
    fn what_was_written_is_waited_for_until_a_watch_brings_it_or_something_later() {
        for (live, awaited) in
            [(Live::default(), true), (seen_in("9"), true), (seen_in("10"), false), (seen_in("11"), false)]
        {
            let (mut unseen, now) = (Unseen::default(), Instant::now());
            unseen.wrote([(key(), 10)], now);
            unseen.look(&live);
            assert_eq!(unseen.is_awaited(now), awaited, "{live:?}");
            assert_eq!(unseen.is_awaited_of(&key(), now), awaited, "{live:?}");
        }
    }

    #[test]
    fn a_watch_that_brings_nothing_is_not_waited_for_longer_than_a_second() {
        let (mut unseen, now) = (Unseen::default(), Instant::now());
        assert!(!unseen.is_awaited(now));
        unseen.wrote([(key(), 10)], now);
        assert!(unseen.is_awaited(now + Duration::from_millis(999)));
        assert!(!unseen.is_awaited(now + Duration::from_secs(1)));
        let another = Key { name: "frontend".to_owned(), ..key() };
        assert!(unseen.is_awaited_of(&key(), now) && !unseen.is_awaited_of(&another, now));
        assert!(!unseen.is_awaited_of(&key(), now + Duration::from_secs(1)));
    }
}
