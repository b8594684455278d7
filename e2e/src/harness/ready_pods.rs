//! How many pods of an app serve, which a look now and then would not tell.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::task::JoinSet;

use super::Namespace;

/// The smallest number of pods of an app that were ready at the same time.
pub struct ReadyPods {
    least: Arc<Mutex<usize>>,
    watch: JoinSet<anyhow::Result<()>>,
}

impl ReadyPods {
    /// Begins with those that are ready now, and watches until this is dropped.
    pub async fn of(namespace: &Namespace, app: &str) -> anyhow::Result<Self> {
        let api = namespace.api::<Pod>();
        let labels = format!("app={app}");
        let now = api.list(&ListParams::default().labels(&labels)).await?;
        let mut ready: BTreeSet<String> = now.iter().filter(|pod| is_ready(pod)).map(ResourceExt::name_any).collect();
        let least = Arc::new(Mutex::new(ready.len()));
        let (seen, params) = (Arc::clone(&least), WatchParams::default().labels(&labels));
        let mut version = now.metadata.resource_version.unwrap_or_default();
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            // The API server ends a watch after some minutes; the next one goes on where it was.
            loop {
                let mut events = std::pin::pin!(api.watch(&params, &version).await?);
                while let Some(event) = events.try_next().await? {
                    let (pod, is_there) = match event {
                        WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, true),
                        WatchEvent::Deleted(pod) => (pod, false),
                        WatchEvent::Bookmark(bookmark) => {
                            version = bookmark.metadata.resource_version;
                            continue;
                        }
                        WatchEvent::Error(status) => anyhow::bail!("the watch of pods failed: {}", status.message),
                    };
                    version = pod.resource_version().unwrap_or_default();
                    if is_there && is_ready(&pod) {
                        ready.insert(pod.name_any());
                    } else {
                        ready.remove(&pod.name_any());
                    }
                    let mut least = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    *least = ready.len().min(*least);
                }
            }
        });
        Ok(Self { least, watch })
    }

    /// How many it were at least, so far.
    ///
    /// # Errors
    /// When the watch has ended, and so nobody knows.
    pub fn least(&mut self) -> anyhow::Result<usize> {
        if let Some(end) = self.watch.try_join_next() {
            end??;
        }
        Ok(*self.least.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a pod gets requests: one on its way out does not.
fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
