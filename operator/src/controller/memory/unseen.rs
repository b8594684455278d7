//! What was written and the watches have not brought yet. A status that is told before would say of it that it is not there,
//! and be written again a moment later.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{
    plan::{Key, Live},
    resource_version::or_first,
};

/// How long after a write its events are waited for. One that comes later has been lost, or its watch does not work.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long after a write what the watches have of the object counts as what it was before. A watch that does not work has begun
/// anew by then, and if it still has an older version, the API server's database is an older one.
const OUTDATED: Duration = Duration::from_mins(3);

/// Writes of one platform that no watch has brought yet.
#[derive(Debug, Default)]
pub(in crate::controller) struct Unseen {
    writes: BTreeMap<Key, Write>,
}

/// The last write of an object.
#[derive(Clone, Copy, Debug)]
struct Write {
    /// The resource version that it left.
    version: u64,
    at: Instant,
}

impl Write {
    fn is_within(&self, limit: Duration, now: Instant) -> bool {
        now < self.at + limit
    }
}

impl Unseen {
    /// Notes objects that were written, and the resource versions that this left.
    pub(in crate::controller) fn wrote(&mut self, objects: impl IntoIterator<Item = (Key, u64)>, now: Instant) {
        self.writes.extend(objects.into_iter().map(|(key, version)| (key, Write { version, at: now })));
    }

    /// Forgets what the watches have brought, and what they will not bring any more. Returns what they have an older version of.
    pub(in crate::controller) fn look(&mut self, live: &Live, now: Instant) -> BTreeSet<Key> {
        self.writes.retain(|key, write| {
            let seen = live.objects.get(key).map(|object| or_first(object.metadata.resource_version.as_deref()));
            seen.is_none_or(|seen| seen < write.version) && write.is_within(OUTDATED, now)
        });
        self.writes.keys().cloned().collect()
    }

    /// Whether something is still waited for.
    pub(in crate::controller) fn is_awaited(&self, now: Instant) -> bool {
        self.writes.values().any(|write| write.is_within(PATIENCE, now))
    }

    /// Whether this object is one of what is still waited for.
    pub(in crate::controller) fn is_awaited_of(&self, key: &Key, now: Instant) -> bool {
        self.writes.get(key).is_some_and(|write| write.is_within(PATIENCE, now))
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
            assert_eq!(unseen.look(&live, now).contains(&key()), awaited, "{live:?}");
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

    #[test]
    fn what_a_watch_has_not_brought_is_outdated_until_the_watch_must_have_begun_anew() {
        let (mut unseen, now) = (Unseen::default(), Instant::now());
        unseen.wrote([(key(), 10)], now);
        assert_eq!(unseen.look(&seen_in("9"), now + OUTDATED.mul_f32(0.99)), [key()].into());
        assert_eq!(unseen.look(&seen_in("9"), now + OUTDATED), [].into());
    }
}
