//! What conditions went through, which a look now and then would miss.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::TryStreamExt;
use kube::{
    ResourceExt,
    api::{WatchEvent, WatchParams},
};
use todo_crds::platform::TodoPlatform;
use tokio::task::JoinSet;

use super::Platform;

/// What a watch has brought.
#[derive(Default)]
struct Seen {
    statuses: BTreeMap<String, Vec<String>>,
    /// Of the platform.
    version: Option<String>,
}

/// The statuses of each condition of a platform, one after the other.
pub struct Transitions {
    seen: Arc<Mutex<Seen>>,
    _watch: JoinSet<anyhow::Result<()>>,
}

impl Transitions {
    /// Begins with the statuses that they have now, and watches until this is dropped.
    pub async fn of(platform: &Platform) -> anyhow::Result<Self> {
        let now = platform.get().await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        note(&now, &mut lock(&seen));
        let (api, mut version) = (platform.namespace.api::<TodoPlatform>(), now.resource_version().unwrap_or_default());
        let params = WatchParams::default().fields(&format!("metadata.name={}", platform.name));
        let noted = Arc::clone(&seen);
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            // The API server ends a watch after some minutes; the next one goes on where it was.
            loop {
                let mut events = std::pin::pin!(api.watch(&params, &version).await?);
                while let Some(event) = events.try_next().await? {
                    match event {
                        WatchEvent::Added(platform) | WatchEvent::Modified(platform) => {
                            version = platform.resource_version().unwrap_or_default();
                            note(&platform, &mut lock(&noted));
                        }
                        WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                        WatchEvent::Deleted(_) => {}
                        WatchEvent::Error(status) => anyhow::bail!("the watch failed: {}", status.message),
                    }
                }
            }
        });
        Ok(Self { seen, _watch: watch })
    }

    /// What a condition has been so far, without repetitions.
    pub fn seen(&self, kind: &str) -> Vec<String> {
        lock(&self.seen).statuses.get(kind).cloned().unwrap_or_default()
    }

    /// Whether the platform has not changed since what was seen last.
    pub async fn are_all_seen(&self, platform: &Platform) -> anyhow::Result<bool> {
        let now = platform.get().await?.resource_version();
        Ok(lock(&self.seen).version == now)
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(platform: &TodoPlatform, seen: &mut Seen) {
    seen.version = platform.resource_version();
    for condition in platform.status.iter().flat_map(|status| &status.conditions) {
        let statuses = seen.statuses.entry(condition.type_.clone()).or_default();
        if statuses.last() != Some(&condition.status) {
            statuses.push(condition.status.clone());
        }
    }
}
