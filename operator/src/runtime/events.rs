//! Events on platforms: on transitions only, and never so that a failed one fails a pass.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use todo_crds::platform::TodoPlatform;
use tokio::time::timeout;
use tracing::warn;

use crate::{
    class::{is_namespace_leaving, words},
    labels::MANAGED_BY,
    plan::Key,
    text::bounded,
};

/// How long publishing may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Characters of a note; the API server takes 1 kB.
const NOTE: usize = 900;
/// After so long without a repetition the next one is an event of its own.
const FORGOTTEN: Duration = Duration::from_mins(6);

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub warning: bool,
    /// Reason in one word.
    pub reason: String,
    /// What the operator was doing.
    pub action: &'static str,
    /// The object of the platform's that it is about, if it is about one.
    pub about: Option<Key>,
    /// In words.
    pub note: String,
}

/// Publishes events. Made once, as what repeats is counted in it.
#[derive(Clone)]
pub struct Events {
    client: Client,
    reporter: Reporter,
    told: Arc<Mutex<Told<Recorder>>>,
}

impl Events {
    /// A recorder that calls itself `instance`.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter { controller: MANAGED_BY.to_owned(), instance: Some(instance) };
        Self { client, reporter, told: Arc::default() }
    }

    /// Publishes a notice on a platform.
    pub async fn publish(&self, platform: &TodoPlatform, notice: Notice) {
        let recorder = self.recorder(platform, &notice);
        let namespace = &platform.metadata.namespace;
        let secondary = notice.about.map(|Key { kind, name }| ObjectReference {
            kind: Some(kind),
            name: Some(name),
            namespace: namespace.clone(),
            ..ObjectReference::default()
        });
        let event = Event {
            type_: if notice.warning { EventType::Warning } else { EventType::Normal },
            reason: bounded(&notice.reason, 128),
            note: Some(bounded(&notice.note, NOTE)),
            action: notice.action.to_owned(),
            secondary,
        };
        match timeout(DEADLINE, recorder.publish(&event, &platform.object_ref(&()))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_namespace_leaving(&error) => {}
            Ok(Err(error)) => warn!(reason = %event.reason, error = %words(&error), "cannot publish an event"),
            Err(_) => warn!(reason = %event.reason, "cannot publish an event in time"),
        }
    }

    /// The recorder that counts what is like this notice.
    fn recorder(&self, platform: &TodoPlatform, notice: &Notice) -> Recorder {
        let series = Series {
            platform: platform.metadata.uid.clone(),
            warning: notice.warning,
            reason: notice.reason.clone(),
            action: notice.action,
            about: notice.about.clone(),
        };
        let fresh = || Recorder::new(self.client.clone(), self.reporter.clone());
        self.told.lock().unwrap_or_else(PoisonError::into_inner).of(series, &notice.note, Instant::now(), fresh)
    }
}

/// What Kubernetes takes for one event that repeats.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    platform: Option<String>,
    warning: bool,
    reason: String,
    action: &'static str,
    about: Option<Key>,
}

/// What was told last of each series, and what counts its repetitions. A recorder keeps the first note of a series for all
/// that follow, so that another note needs another recorder.
struct Told<T>(HashMap<Series, (String, T, Instant)>);

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Told<T> {
    /// What counts a notice that says `note`: the same as before if that said so, too.
    fn of(&mut self, series: Series, note: &str, now: Instant, fresh: impl FnOnce() -> T) -> T {
        self.0.retain(|_, (_, _, at)| now.duration_since(*at) < FORGOTTEN);
        let before = self.0.remove(&series).filter(|(told, ..)| told == note);
        let counter = before.map_or_else(fresh, |(_, counter, _)| counter);
        self.0.insert(series, (note.to_owned(), counter.clone(), now));
        counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_something_else_or_is_about_something_else_is_an_event_of_its_own() {
        let (mut told, mut count, begin) = (Told::default(), 0, Instant::now());
        let mut of = |about: &str, note: &str, minutes| {
            let about = Some(Key { kind: "Secret".to_owned(), name: about.to_owned() });
            let (platform, reason) = (Some("uid".to_owned()), "SecretMissing".to_owned());
            let series = Series { platform, warning: true, reason, action: "Reconcile", about };
            let now = begin + Duration::from_mins(minutes);
            told.of(series, note, now, || {
                count += 1;
                count
            })
        };
        assert_eq!(of("a", "a is missing", 0), 1);
        assert_eq!(of("b", "b is missing", 0), 2);
        assert_eq!(of("a", "a is missing", 1), 1, "the same again");
        assert_eq!(of("a", "a has no key", 2), 3);
        assert_eq!(of("a", "a has no key", 9), 4, "long after");
    }
}
