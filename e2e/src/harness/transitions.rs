//! What a condition went through, which a look now and then would miss.

use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use kube::{
    ResourceExt,
    api::{WatchEvent, WatchParams},
};
use todo_crds::platform::TodoPlatform;
use tokio::task::JoinSet;

use super::Platform;

/// The statuses of one condition of a platform, one after the other.
pub struct Transitions {
    seen: Arc<Mutex<Vec<String>>>,
    _watch: JoinSet<anyhow::Result<()>>,
}

impl Transitions {
    /// Begins with the status that it has now, and watches until this is dropped.
    pub async fn of(platform: &Platform, kind: &'static str) -> anyhow::Result<Self> {
        let now = platform.get().await?;
        let seen = Arc::new(Mutex::new(Vec::from_iter(status(&now, kind))));
        let (api, mut version) = (platform.namespace.api::<TodoPlatform>(), now.resource_version().unwrap_or_default());
        let params = WatchParams::default().fields(&format!("metadata.name={}", platform.name));
        let statuses = Arc::clone(&seen);
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            // The API server ends a watch after some minutes; the next one goes on where it was.
            loop {
                let mut events = std::pin::pin!(api.watch(&params, &version).await?);
                while let Some(event) = events.try_next().await? {
                    let (WatchEvent::Added(platform) | WatchEvent::Modified(platform)) = event else { continue };
                    version = platform.resource_version().unwrap_or_default();
                    let mut statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
                    let next = status(&platform, kind).filter(|status| statuses.last() != Some(status));
                    statuses.extend(next);
                }
            }
        });
        Ok(Self { seen, _watch: watch })
    }

    /// What it has been so far, without repetitions.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn status(platform: &TodoPlatform, kind: &str) -> Option<String> {
    let conditions = &platform.status.as_ref()?.conditions;
    conditions.iter().find(|condition| condition.type_ == kind).map(|condition| condition.status.clone())
}
