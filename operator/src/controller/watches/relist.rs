//! A watch that lists anew now and then. An event that is lost on its way, by a proxy or an API server that comes back from
//! an older state, would else be missed for as long as the connection lasts.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use kube::{Api, Resource};
use kube_runtime::{
    utils::Backoff,
    watcher,
    watcher::{DefaultBackoff, Error, Event},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::controller::memory::backoff::jittered;

/// How long it takes to tell.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// How long nothing may come of a list that is under way.
    silence: Duration,
    /// How long a watch lasts after its list that has recovered from what was wrong before.
    calm: Duration,
}

const PATIENCE: Patience = Patience {
    // An API server gives up on a list after a minute; what is silent for longer is a connection that leads nowhere.
    silence: Duration::from_secs(70),
    calm: Duration::from_secs(10),
};

/// Nothing came of a list.
#[derive(Debug, thiserror::Error)]
#[error("no answer for {} s", .0.as_secs())]
struct Silent(Duration);

/// Watches as `watcher` does. `period` after each complete list, or a little sooner, another one is begun. A list that is
/// under way and brings something is never cut off.
pub(in crate::controller) fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    period: Duration,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let begin = move || {
        let (api, config) = (api.clone(), config.clone());
        lasting(move || watcher(api.clone(), config.clone()).boxed(), PATIENCE, DefaultBackoff::default()).boxed()
    };
    again(begin, period)
}

/// A stream of events that is begun anew after each failure, ever less often while it fails, and also when nothing comes of
/// its list for too long. `watcher` itself goes on after a failure without a list: then nothing tells that it works again
/// before something happens. And its back-off ends with the beginning of each list, also of one that fails.
fn lasting<K: Send + 'static>(
    begin: impl Fn() -> BoxStream<'static, watcher::Result<Event<K>>> + Send + 'static,
    patience: Patience,
    backoff: impl Backoff + 'static,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static {
    let (events, listed, rest) = (begin(), None::<Instant>, None::<Duration>);
    stream::unfold((begin, backoff, events, listed, rest), move |state| async move {
        let (begin, mut backoff, mut events, mut listed, mut rest) = state;
        if let Some(rest) = rest.take() {
            sleep(rest).await;
        }
        let event = if listed.is_some() {
            events.next().await?
        } else {
            let silent = Silent(patience.silence);
            let failed = |_| Some(Err(Error::InitialListFailed(kube::Error::Service(Box::new(silent)))));
            timeout(patience.silence, events.next()).await.unwrap_or_else(failed)?
        };
        match &event {
            Ok(Event::Init | Event::InitApply(_)) => listed = None,
            Ok(Event::InitDone) => listed = Some(Instant::now()),
            Ok(Event::Apply(_) | Event::Delete(_)) => {}
            Err(_) => {
                if listed.is_some_and(|listed| listed.elapsed() >= patience.calm) {
                    backoff.reset();
                }
                (events, listed, rest) = (begin(), None, backoff.next());
            }
        }
        Some((event, (begin, backoff, events, listed, rest)))
    })
}

/// Begins a stream of events again and again.
fn again<K: Send + 'static>(
    begin: impl Fn() -> BoxStream<'static, watcher::Result<Event<K>>> + Send + 'static,
    period: Duration,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static {
    let first = (begin(), None::<Instant>);
    stream::unfold((begin, first), move |(begin, (mut events, mut due))| async move {
        loop {
            let event = tokio::select! {
                event = events.next() => event?,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    (events, due) = (begin(), None);
                    continue;
                }
            };
            match &event {
                Ok(Event::Init | Event::InitApply(_)) => due = None,
                Ok(Event::InitDone) => due = Some(Instant::now() + jittered(period)),
                Ok(Event::Apply(_) | Event::Delete(_)) | Err(_) => {}
            }
            return Some((event, (begin, (events, due))));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const PERIOD: Duration = Duration::from_millis(20);

    const BRIEF: Patience = Patience { silence: PERIOD, calm: PERIOD };

    /// Rests that last no time, and how many there were since they last began anew.
    #[derive(Clone, Default)]
    struct Rests(Arc<AtomicUsize>);

    impl Iterator for Rests {
        type Item = Duration;

        fn next(&mut self) -> Option<Duration> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Some(Duration::ZERO)
        }
    }

    impl Backoff for Rests {
        fn reset(&mut self) {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    fn failure() -> watcher::Result<Event<()>> {
        Err(Error::NoResourceVersion)
    }

    #[tokio::test]
    async fn a_list_of_which_nothing_comes_is_a_failure_and_begun_anew() {
        for came in [vec![], vec![Event::Init], vec![Event::Init, Event::InitApply(())]] {
            let parts = came.len();
            let begin = move || stream::iter(came.clone().into_iter().map(Ok)).chain(stream::pending()).boxed();
            let mut events = Box::pin(lasting(begin, BRIEF, Rests::default()));
            for _ in 0..2 {
                for _ in 0..parts {
                    assert!(matches!(events.next().await, Some(Ok(_))));
                }
                let failure = events.next().await.unwrap().err().map(|error| error.to_string()).unwrap_or_default();
                assert!(failure.contains("no answer for"), "{failure}");
            }
        }
    }

    #[tokio::test]
    async fn a_watch_that_is_only_quiet_goes_on() {
        let begin = || stream::iter([Ok(Event::<()>::Init), Ok(Event::InitDone)]).chain(stream::pending()).boxed();
        let mut events = Box::pin(lasting(begin, BRIEF, Rests::default()));
        assert!(matches!(events.next().await, Some(Ok(Event::Init))));
        assert!(matches!(events.next().await, Some(Ok(Event::InitDone))));
        assert!(timeout(5 * PERIOD, events.next()).await.is_err());
    }

    #[tokio::test]
    async fn each_failure_is_followed_by_a_list_and_by_a_longer_rest_unless_it_had_worked_for_a_while() {
        let (rests, patience) = (Rests::default(), Patience { calm: 25 * PERIOD, ..BRIEF });
        let (later, calm) = (Arc::new(AtomicUsize::new(0)), 3);
        let begin = move || {
            let lasts = later.fetch_add(1, Ordering::Relaxed) == calm;
            let fails = stream::once(async move {
                tokio::time::sleep(if lasts { 30 * PERIOD } else { Duration::ZERO }).await;
                failure()
            });
            stream::iter([Ok(Event::Init), Ok(Event::InitDone)]).chain(fails).boxed()
        };
        let mut events = Box::pin(lasting(begin, patience, rests.clone()));
        for since_it_worked in [1, 2, 3, 1, 2] {
            assert!(matches!(events.next().await, Some(Ok(Event::Init))));
            assert!(matches!(events.next().await, Some(Ok(Event::InitDone))));
            assert!(matches!(events.next().await, Some(Err(_))));
            assert_eq!(rests.0.load(Ordering::Relaxed), since_it_worked);
        }
    }

    #[tokio::test]
    async fn a_list_is_begun_anew_after_the_last_one_was_complete_and_never_while_one_is_under_way() {
        let lists = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lists);
        let begin = move || {
            count.fetch_add(1, Ordering::Relaxed);
            // Its list takes longer than the period.
            let slow = stream::once(async {
                tokio::time::sleep(5 * PERIOD).await;
                Ok(Event::InitDone)
            });
            stream::iter([Ok(Event::<()>::Init)]).chain(slow).chain(stream::pending()).boxed()
        };
        let mut events = Box::pin(again(begin, PERIOD));
        for expected in [1, 2, 3] {
            assert!(matches!(events.next().await, Some(Ok(Event::Init))));
            assert!(matches!(events.next().await, Some(Ok(Event::InitDone))));
            assert_eq!(lists.load(Ordering::Relaxed), expected);
        }
    }
}
