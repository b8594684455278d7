//! Which platforms wait for a pass, and since when. The controller keeps that to itself, so it is noted beside it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::core::ObjectMeta;
use kube_runtime::controller;

/// When the next pass over a platform is due. What the controller has for it does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action(Option<Duration>);

impl Action {
    /// After so long, if nothing changes before.
    pub(super) const fn requeue(wait: Duration) -> Self {
        Self(Some(wait))
    }

    /// When something changes.
    pub(super) const fn await_change() -> Self {
        Self(None)
    }
}

impl From<Action> for controller::Action {
    fn from(Action(wait): Action) -> Self {
        wait.map_or_else(Self::await_change, Self::requeue)
    }
}

/// A platform: its namespace and name.
type Name = (String, String);

/// When a pass over each platform is due.
#[derive(Clone, Debug, Default)]
pub struct Queue(Arc<Mutex<HashMap<Name, Instant>>>);

impl Queue {
    /// A pass is due at `time`, unless one is due before.
    pub(super) fn schedule(&self, platform: Name, time: Instant) {
        self.lock().entry(platform).and_modify(|due| *due = time.min(*due)).or_insert(time);
    }

    /// A pass begins. Returns how long it was due.
    pub(super) fn begin(&self, platform: &Name, now: Instant) -> Duration {
        self.lock().remove(platform).map_or(Duration::ZERO, |due| now.saturating_duration_since(due))
    }

    /// A pass is over.
    pub(super) fn end(&self, platform: Name, next: Action, now: Instant) {
        if let Action(Some(wait)) = next {
            self.schedule(platform, now + wait);
        }
    }

    /// There is no such platform any more.
    pub(super) fn forget(&self, platform: &Name) {
        self.lock().remove(platform);
    }

    /// How many passes are due and have not begun.
    pub fn waiting(&self, now: Instant) -> usize {
        self.lock().values().filter(|due| **due < now).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Namespace and name of a platform.
pub(super) fn name(meta: &ObjectMeta) -> Name {
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_waits_from_when_it_is_due_until_its_pass_begins() {
        let (queue, begun) = (Queue::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let platform = || ("ns".to_owned(), "todo".to_owned());
        queue.schedule(platform(), at(2));
        assert_eq!((queue.waiting(at(1)), queue.waiting(at(3))), (0, 1));
        // A second change, for which there is one pass.
        queue.schedule(platform(), at(3));
        assert_eq!(queue.begin(&platform(), at(5)), Duration::from_secs(3));
        assert_eq!(queue.waiting(at(5)), 0);
        // A change while the pass goes on comes before the next look.
        queue.schedule(platform(), at(6));
        queue.end(platform(), Action::requeue(Duration::from_secs(10)), at(7));
        assert_eq!(queue.waiting(at(8)), 1);
        queue.begin(&platform(), at(8));
        queue.end(platform(), Action::await_change(), at(9));
        assert_eq!(queue.waiting(at(100)), 0);
    }

    #[test]
    fn a_platform_that_is_gone_waits_for_nothing() {
        let (queue, begun) = (Queue::default(), Instant::now());
        let platform = ("ns".to_owned(), "todo".to_owned());
        queue.schedule(platform.clone(), begun);
        queue.forget(&platform);
        assert_eq!(queue.waiting(begun + Duration::from_secs(1)), 0);
    }
}
