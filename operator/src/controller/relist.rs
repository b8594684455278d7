//! A watch that begins anew from time to time. What a watch sees is only as good as what brings its events: one that got lost
//! on its way is made up for by the next list.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, stream};
use kube::{Api, Resource};
use kube_runtime::{
    WatchStreamExt,
    watcher::{self, watcher},
};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::pace;

/// Watches, tries again by itself what fails, and lists everything anew about every `period`.
pub(super) fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    period: Duration,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    // Jittered, so that not all kinds are listed at the same moment.
    let until = move || sleep(pace::jittered(period));
    stream::repeat(()).flat_map(move |()| watcher(api.clone(), config.clone()).default_backoff().take_until(until()))
}
