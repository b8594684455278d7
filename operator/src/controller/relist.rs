//! A watch that lists anew now and then. An event that is lost on its way, by a proxy or an API server that comes back from
//! an older state, would else be missed for as long as the connection lasts.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use kube::{Api, Resource};
use kube_runtime::{WatchStreamExt, watcher, watcher::Event};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};

use super::pace;

/// Watches as `watcher` does, with its back-off. `period` after each complete list, or a little sooner, another one is
/// begun. A list that is under way is never cut off.
pub(super) fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    period: Duration,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    again(move || watcher(api.clone(), config.clone()).default_backoff().boxed(), period)
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
                Ok(Event::InitDone) => due = Some(Instant::now() + pace::jittered(period)),
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
