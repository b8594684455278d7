//! Every status that a platform had, which a look now and then would miss.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::TryStreamExt;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, WatchEvent, WatchParams},
    core::ApiResource,
};
use serde_json::Value;
use todo_crds::platform::TodoPlatform;
use tokio::task::JoinSet;

use super::{Namespace, Platform};

/// One version of a platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Of the resource.
    pub number: String,
    /// Of its spec.
    pub generation: Option<i64>,
    /// Its status, without times.
    pub status: Value,
}

/// Versions of the platforms of a namespace, one after the other.
pub struct Statuses {
    seen: Arc<Mutex<Vec<Version>>>,
    _watch: JoinSet<anyhow::Result<()>>,
}

impl Statuses {
    /// Watches from now on, when there may be none yet, until this is dropped.
    pub async fn of(namespace: &Namespace) -> anyhow::Result<Self> {
        let resource = ApiResource::erase::<TodoPlatform>(&());
        let client = namespace.env.client.clone();
        let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace.name, &resource);
        let mut number = api.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let versions = Arc::clone(&seen);
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            // The API server ends a watch after some minutes; the next one goes on where it was.
            loop {
                let mut events = std::pin::pin!(api.watch(&WatchParams::default(), &number).await?);
                while let Some(event) = events.try_next().await? {
                    match event {
                        WatchEvent::Added(platform) | WatchEvent::Modified(platform) => {
                            let version = Version::of(&platform);
                            number.clone_from(&version.number);
                            versions.lock().unwrap_or_else(PoisonError::into_inner).push(version);
                        }
                        WatchEvent::Bookmark(bookmark) => number = bookmark.metadata.resource_version,
                        WatchEvent::Deleted(_) => {}
                        WatchEvent::Error(status) => anyhow::bail!("the watch failed: {}", status.message),
                    }
                }
            }
        });
        Ok(Self { seen, _watch: watch })
    }

    /// Whether a platform, the only one, has not changed since what was seen last.
    pub async fn are_all_seen(&self, platform: &Platform) -> anyhow::Result<bool> {
        let now = platform.get().await?.resource_version();
        Ok(self.seen().last().map(|version| &version.number) == now.as_ref())
    }

    /// All so far.
    pub fn seen(&self) -> Vec<Version> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Version {
    fn of(platform: &DynamicObject) -> Self {
        let mut status = platform.data["status"].clone();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition.as_object_mut().map(|condition| condition.remove("lastTransitionTime"));
        }
        let number = platform.resource_version().unwrap_or_default();
        Self { number, generation: platform.metadata.generation, status }
    }

    /// What means something else than before, in words.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.generation != before.generation {
            changes.push(format!("spec {:?}", self.generation));
        }
        let (now, before) = (parts(&self.status), parts(&before.status));
        let gone = before.keys().filter(|key| !now.contains_key(*key));
        changes.extend(gone.map(|key| format!("{key} is gone")));
        let new = now.iter().filter(|(key, value)| before.get(*key) != Some(value));
        changes.extend(new.map(|(key, value)| format!("{key} {value}")));
        changes
    }
}

/// A status in parts that have a name: fields, and items of lists.
fn parts(status: &Value) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::new();
    for (field, value) in status.as_object().into_iter().flatten() {
        match value {
            Value::Array(items) => parts.extend(items.iter().map(|item| (named(field, item), item.clone()))),
            value => drop(parts.insert(field.clone(), value.clone())),
        }
    }
    parts
}

/// By what items of the status' lists are told apart.
fn named(field: &str, item: &Value) -> String {
    let names = ["type", "name", "object", "field", "manager"].iter().filter_map(|key| item[*key].as_str());
    format!("{field} {}", names.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(generation: i64, ready: &str, time: &str) -> Version {
        let resource = ApiResource::erase::<TodoPlatform>(&());
        let mut platform = DynamicObject::new("todo", &resource);
        platform.metadata.generation = Some(generation);
        let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": time});
        platform.data = json!({"status": {"url": "http://todo", "conditions": [condition]}});
        Version::of(&platform)
    }

    #[test]
    fn another_time_means_nothing_and_all_else_is_told() {
        let before = version(1, "False", "2026-01-01T00:00:00Z");
        assert_eq!(version(1, "False", "2026-01-02T00:00:00Z").changes(&before), [""; 0]);
        let changes = version(2, "True", "2026-01-01T00:00:00Z").changes(&before);
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(changes[0] == "spec Some(2)" && changes[1].starts_with("conditions Ready {"), "{changes:?}");
        let mut without = version(1, "False", "");
        without.status["conditions"] = json!([]);
        assert_eq!(without.changes(&before), ["conditions Ready is gone"]);
    }
}
