//! How often pods would have been replaced. A generation does not say so: it also counts changes after which the template
//! of the pods is the same as before.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, WatchEvent, WatchParams},
    core::ApiResource,
};
use serde_json::Value;
use tokio::task::JoinSet;

/// How soon a watch that ended is begun anew.
const PAUSE: Duration = Duration::from_millis(100);

/// Number of different templates, one after the other, by `Kind/name`.
pub(super) type Counts = BTreeMap<String, usize>;

/// Templates that an object had, the last one as text.
type Seen = BTreeMap<String, (usize, String)>;

/// Looks at a namespace until it is dropped, by no proxy.
pub(super) struct Rollouts {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl Rollouts {
    /// From now on; what is there already counts as one each.
    pub(super) fn watch(client: &Client, namespace: &str) -> Self {
        let (seen, mut tasks) = (Arc::new(Mutex::default()), JoinSet::new());
        for resource in [ApiResource::erase::<Deployment>(&()), ApiResource::erase::<StatefulSet>(&())] {
            let api = Api::namespaced_with(client.clone(), namespace, &resource);
            let seen = Arc::clone(&seen);
            tasks.spawn(async move {
                let mut since = None;
                loop {
                    // The API server ends each watch after some minutes.
                    let _ = follow(&api, &resource.kind, &mut since, &seen).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self { seen, _tasks: tasks }
    }

    /// Until now.
    pub(super) fn counts(&self) -> Counts {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|(key, (count, _))| (key.clone(), *count)).collect()
    }

    /// Since `before`, without those that had none.
    pub(super) fn since(&self, before: &Counts) -> Counts {
        let fresh = |(key, count): (String, usize)| {
            let more = count - before.get(&key).copied().unwrap_or_default();
            (more > 0).then_some((key, more))
        };
        self.counts().into_iter().filter_map(fresh).collect()
    }
}

async fn follow(
    api: &Api<DynamicObject>,
    kind: &str,
    since: &mut Option<String>,
    seen: &Mutex<Seen>,
) -> anyhow::Result<()> {
    let note = |object: &DynamicObject| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut seen, &format!("{kind}/{}", object.name_any()), &object.data["spec"]["template"]);
    };
    let from = if let Some(version) = since.take() {
        version
    } else {
        let list = api.list(&ListParams::default()).await?;
        list.items.iter().for_each(note);
        list.metadata.resource_version.unwrap_or_default()
    };
    let events = api.watch(&WatchParams::default(), &from).await?;
    pin_mut!(events);
    let mut last = from;
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                note(&object);
                last = object.resource_version().unwrap_or(last);
            }
            WatchEvent::Deleted(object) => last = object.resource_version().unwrap_or(last),
            WatchEvent::Bookmark(_) => {}
            // Older than what the API server remembers: the next time begins with a list.
            WatchEvent::Error(_) => return Ok(()),
        }
    }
    *since = Some(last);
    Ok(())
}

fn count(seen: &mut Seen, key: &str, template: &Value) {
    let (count, last) = seen.entry(key.to_owned()).or_default();
    let text = template.to_string();
    if *last != text {
        (*count, *last) = (*count + 1, text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_that_changes_and_changes_back_is_two_rollouts_and_the_same_one_is_none() {
        let mut seen = Seen::new();
        for template in ["a", "a", "b", "a"] {
            count(&mut seen, "Deployment/x", &json!(template));
        }
        assert_eq!(seen["Deployment/x"].0, 3);
    }
}
