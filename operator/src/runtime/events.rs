//! Events on platforms: on transitions only, and never so that a pass waits for one or fails with it. Who has something to
//! tell hands it in and goes on; one task publishes what was handed in, one after the other.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use todo_crds::platform::TodoPlatform;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::metrics;
use crate::{
    class::{Class, is_namespace_leaving, words},
    labels::MANAGED_BY,
    plan::Key,
    text::bounded,
};

/// How long publishing one may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Events that may wait. Nothing is lost with one that may not: it is in the status, too.
const WAITING: usize = 256;
/// How long those that wait at the end may take together. Another replica waits for the Lease meanwhile.
const LAST: Duration = Duration::from_secs(3);
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

/// A notice that waits, with the platform that it is on.
struct Waiting {
    platform: ObjectReference,
    notice: Notice,
}

/// Where notices are handed in.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Waiting>);

impl Events {
    /// Begins to publish what is handed in, in the name of `instance`.
    pub fn start(client: Client, instance: String) -> (Self, Publishing) {
        let (sender, waiting) = mpsc::channel(WAITING);
        let reporter = Reporter { controller: MANAGED_BY.to_owned(), instance: Some(instance) };
        let (publisher, stop) = (Publisher { client, reporter, told: Told::default() }, CancellationToken::new());
        let task = tokio::spawn(publisher.run(waiting, stop.clone()));
        (Self(sender), Publishing { stop, task, last: LAST })
    }

    /// Hands in a notice on a platform. While too many others wait it is lost, and never waited for.
    pub fn publish(&self, platform: &TodoPlatform, notice: Notice) {
        match self.0.try_send(Waiting { platform: platform.object_ref(&()), notice }) {
            Ok(()) => {}
            Err(TrySendError::Full(lost)) => {
                metrics::event_lost();
                warn!(reason = %lost.notice.reason, "an event is not published, as too many wait");
            }
            Err(TrySendError::Closed(lost)) => {
                metrics::event_lost();
                warn!(reason = %lost.notice.reason, "an event is not published, as it comes after the end");
            }
        }
    }
}

/// The task that publishes.
pub struct Publishing {
    stop: CancellationToken,
    task: JoinHandle<()>,
    last: Duration,
}

impl Publishing {
    /// Ends it. What waits is published before, as far as there is time; afterwards nothing is.
    pub async fn end(mut self) {
        self.stop.cancel();
        match timeout(self.last, &mut self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "publishing events did not end well"),
            Err(_) => {
                self.task.abort();
                warn!("the last events are not published");
            }
        }
    }
}

/// Publishes events, and counts what repeats.
struct Publisher {
    client: Client,
    reporter: Reporter,
    told: Told<Recorder>,
}

impl Publisher {
    /// Publishes whatever comes until `stop`, and then what waits.
    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
        loop {
            tokio::select! {
                next = waiting.recv() => match next {
                    Some(next) => self.publish(next).await,
                    None => return,
                },
                () = stop.cancelled(), if !waiting.is_closed() => waiting.close(),
            }
        }
    }

    /// Publishes one. If that panics, those after it are published all the same.
    async fn publish(&mut self, Waiting { platform, notice }: Waiting) {
        let recorder = self.recorder(&platform, &notice);
        let secondary = notice.about.map(|Key { kind, name }| ObjectReference {
            kind: Some(kind),
            name: Some(name),
            namespace: platform.namespace.clone(),
            ..ObjectReference::default()
        });
        let event = Event {
            type_: if notice.warning { EventType::Warning } else { EventType::Normal },
            reason: bounded(&notice.reason, 128),
            note: Some(bounded(&notice.note, NOTE)),
            action: notice.action.to_owned(),
            secondary,
        };
        let published = timeout(DEADLINE, recorder.publish(&event, &platform));
        match AssertUnwindSafe(published).catch_unwind().await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) if is_namespace_leaving(&error) => return,
            Ok(Ok(Err(error))) => warn!(reason = %event.reason, error = %words(&error), "cannot publish an event"),
            Ok(Err(_)) => warn!(reason = %event.reason, "cannot publish an event in time"),
            Err(_) => {
                metrics::error(Class::Bug);
                error!(reason = %event.reason, "a mistake in the operator kept an event from being published");
            }
        }
        metrics::event_lost();
    }

    /// The recorder that counts what is like this notice.
    fn recorder(&mut self, platform: &ObjectReference, notice: &Notice) -> Recorder {
        let series = Series {
            platform: platform.uid.clone(),
            warning: notice.warning,
            reason: notice.reason.clone(),
            action: notice.action,
            about: notice.about.clone(),
        };
        let fresh = || Recorder::new(self.client.clone(), self.reporter.clone());
        self.told.of(series, &notice.note, Instant::now(), fresh)
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
    use std::{
        convert::Infallible,
        future::{Future, pending, ready},
        sync::{Arc, Mutex},
    };

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::Value;
    use todo_crds::platform::TodoPlatformSpec;

    use super::*;

    /// An API server that notes what events say, and takes each after `delay`.
    fn server<F>(delay: impl Fn(&str) -> F + Clone + Send + 'static) -> (Client, Arc<Mutex<Vec<String>>>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let noted = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&noted);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (delay, log) = (delay.clone(), Arc::clone(&log));
            async move {
                let event = request.into_body().collect_bytes().await.unwrap();
                let note = serde_json::from_slice::<Value>(&event).unwrap()["note"].as_str().unwrap().to_owned();
                let delay = delay(&note);
                log.lock().unwrap().push(note);
                delay.await;
                Ok::<_, Infallible>(Response::new(Body::from(event)))
            }
        });
        (Client::new(service, "ns"), noted)
    }

    fn tell(events: &Events, note: &str) {
        let mut platform = TodoPlatform::new("todo", TodoPlatformSpec::default());
        platform.metadata.namespace = Some("ns".to_owned());
        let (reason, note) = ("Stale".to_owned(), note.to_owned());
        events.publish(&platform, Notice { warning: true, reason, action: "Reconcile", about: None, note });
    }

    #[tokio::test]
    async fn events_keep_their_order_and_those_that_are_too_many_are_lost() {
        let (client, noted) = server(|_| ready(()));
        let (events, publishing) = Events::start(client, "test".to_owned());
        let all: Vec<_> = (0..=WAITING).map(|number| number.to_string()).collect();
        // The task begins when this one waits for something.
        for note in &all {
            tell(&events, note);
        }
        publishing.end().await;
        assert_eq!(*noted.lock().unwrap(), all[..WAITING]);
        tell(&events, "after the end");
        assert_eq!(noted.lock().unwrap().len(), WAITING);
    }

    #[tokio::test]
    async fn an_event_that_panics_keeps_no_other_from_being_published() {
        let (client, noted) = server(|note| {
            assert!(note != "poisoned", "as a test wants it");
            ready(())
        });
        let (events, publishing) = Events::start(client, "test".to_owned());
        for note in ["poisoned", "well"] {
            tell(&events, note);
        }
        publishing.end().await;
        assert_eq!(*noted.lock().unwrap(), ["well"]);
    }

    #[tokio::test]
    async fn the_end_does_not_wait_for_an_answer_that_never_comes() {
        let (client, noted) = server(|_| pending());
        let (events, publishing) = Events::start(client, "test".to_owned());
        for note in ["hangs", "waits"] {
            tell(&events, note);
        }
        Publishing { last: Duration::from_millis(50), ..publishing }.end().await;
        assert_eq!(*noted.lock().unwrap(), ["hangs"]);
        // What it was about to do is given up.
        events.0.closed().await;
    }

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
