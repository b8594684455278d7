//! Which watches fail.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kube_runtime::{watcher, watcher::Event};
use tracing::{info, warn};

use crate::{
    class::{Class, words},
    runtime::metrics,
};

/// Watches that fail now, and why.
#[derive(Debug, Default)]
pub(super) struct Failing(Mutex<BTreeMap<String, String>>);

impl Failing {
    /// Remembers, and says once, whether a watch works. That a list has begun says nothing yet.
    pub(super) fn note<K>(&self, kind: &str, event: &watcher::Result<Event<K>>) {
        match event {
            Ok(Event::Init | Event::InitApply(_)) => {}
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => self.note_success(kind),
            Err(error) => {
                let (class, message) = explain(error);
                self.note_failure(kind, class, message);
            }
        }
    }

    /// Remembers that a watch works, or that nobody needs it any more.
    pub(super) fn note_success(&self, kind: &str) {
        if self.lock().remove(kind).is_some() {
            info!(%kind, "watching again");
        }
    }

    /// Remembers that a watch fails, for a reason that no event of it says.
    pub(super) fn note_failure(&self, kind: &str, class: Class, message: String) {
        metrics::watch_failed(kind, class);
        if !self.lock().contains_key(kind) {
            warn!(%kind, %class, error = %message, "cannot watch; trying again");
        }
        self.lock().insert(kind.to_owned(), message);
    }

    /// Whether the watch of this kind fails now.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.lock().contains_key(kind)
    }

    /// All that fail now, by kind.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Class and words of a failed watch.
fn explain(error: &watcher::Error) -> (Class, String) {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match Class::of(error) {
            Class::Missing => (Class::Missing, "the cluster has no such kind; install its CRD".to_owned()),
            class => (class, words(error)),
        },
        watcher::Error::WatchError(status) => (Class::Transient, status.message.clone()),
        watcher::Error::NoResourceVersion => (Class::Bug, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_fails_until_a_list_is_complete_or_something_comes_and_not_only_until_a_list_is_begun() {
        let gone = || Err(watcher::Error::NoResourceVersion);
        for (event, works) in [
            (Ok(Event::Init), false),
            (Ok(Event::InitApply(())), false),
            (gone(), false),
            (Ok(Event::InitDone), true),
            (Ok(Event::Apply(())), true),
            (Ok(Event::Delete(())), true),
        ] {
            let failing = Failing::default();
            failing.note::<()>("Role", &gone());
            failing.note("Role", &event);
            assert_eq!(failing.lock().is_empty(), works, "{event:?}");
        }
    }
}
