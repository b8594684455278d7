//! What containers that ended badly said at last. Kubernetes keeps that in the pod's status for containers that ask for it;
//! Dapr's injector does not let the sidecar ask, so it is read from the log, once for each time that one ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::{Api, Client, api::LogParams};
use tokio::time::timeout;
use tracing::debug;

use super::http::CONCURRENCY;
use crate::class::words;

/// How long reading one log may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// Lines that are read.
const LINES: i64 = 20;
/// Bytes that are read.
const BYTES: i64 = 16 * 1024;

/// Last words of containers.
#[derive(Debug, Default)]
pub struct LastWords(HashMap<Place, Words>);

/// A container of a pod, whichever stands there now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    pod_uid: String,
    container: String,
}

/// What a container said at last.
#[derive(Debug)]
struct Words {
    /// Id of the container.
    id: String,
    said: String,
}

/// A container that ended badly and left no words in the status of its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Silent {
    place: Place,
    pod: String,
    id: String,
    /// Whether another one has taken its place since.
    previous: bool,
}

impl LastWords {
    /// The pods with the last words of their containers in their status.
    pub async fn fill_in(&mut self, client: &Client, namespace: &str, pods: Vec<Arc<Pod>>) -> Vec<Arc<Pod>> {
        let silent: Vec<Silent> = pods.iter().flat_map(|pod| silent(pod)).collect();
        self.0.retain(|place, words| silent.iter().any(|one| one.place == *place && one.id == words.id));
        let new: Vec<Silent> = silent.into_iter().filter(|one| !self.0.contains_key(&one.place)).collect();
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let questions: Vec<_> = new.iter().map(|one| read(&api, one)).collect();
        let said: Vec<String> = stream::iter(questions).buffered(CONCURRENCY).collect().await;
        self.0.extend(new.into_iter().zip(said).map(|(one, said)| (one.place, Words { id: one.id, said })));
        if self.0.is_empty() { pods } else { pods.into_iter().map(|pod| self.filled_in(pod)).collect() }
    }

    fn filled_in(&self, pod: Arc<Pod>) -> Arc<Pod> {
        if silent(&pod).is_empty() {
            return pod;
        }
        let mut pod = Pod::clone(&pod);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let status = pod.status.get_or_insert_default();
        let containers = status.init_container_statuses.iter_mut().chain(&mut status.container_statuses).flatten();
        for container in containers {
            let place = Place { pod_uid: uid.clone(), container: container.name.clone() };
            let Some(words) = self.0.get(&place) else { continue };
            let both = [container.state.as_mut(), container.last_state.as_mut()];
            for ended in both.into_iter().flatten().filter_map(|state| state.terminated.as_mut()) {
                ended.message.get_or_insert_with(|| words.said.clone());
            }
        }
        Arc::new(pod)
    }
}

/// The containers of a pod whose log is worth reading.
fn silent(pod: &Pod) -> Vec<Silent> {
    let containers = pod.status.iter().flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    let silent = containers.filter(|container| !container.ready).filter_map(|container| {
        let (ended, previous) = ended(container)?;
        (ended.exit_code != 0 && ended.message.is_none()).then(|| Silent {
            place: Place { pod_uid: pod.metadata.uid.clone().unwrap_or_default(), container: container.name.clone() },
            pod: pod.metadata.name.clone().unwrap_or_default(),
            id: ended.container_id.clone().unwrap_or_default(),
            previous,
        })
    });
    silent.collect()
}

/// How a container ended, and whether another one has taken its place since.
fn ended(container: &ContainerStatus) -> Option<(&ContainerStateTerminated, bool)> {
    let now = container.state.as_ref().and_then(|state| state.terminated.as_ref()).map(|ended| (ended, false));
    now.or_else(|| container.last_state.as_ref()?.terminated.as_ref().map(|ended| (ended, true)))
}

/// The end of a container's log, or nothing: that it ended is told without its words, too.
async fn read(api: &Api<Pod>, silent: &Silent) -> String {
    let params = LogParams {
        container: Some(silent.place.container.clone()),
        previous: silent.previous,
        tail_lines: Some(LINES),
        limit_bytes: Some(BYTES),
        ..LogParams::default()
    };
    match timeout(DEADLINE, api.logs(&silent.pod, &params)).await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            debug!(pod = %silent.pod, container = %silent.place.container, error = %words(&error), "cannot read a log");
            String::new()
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(state: &Value, last: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "backend-1", "uid": "1"},
            "status": {"containerStatuses": [{"name": "daprd", "image": "", "imageID": "", "ready": false,
                "restartCount": 2, "state": state, "lastState": last}]},
        }))
        .unwrap()
    }

    fn terminated(code: i32, message: Option<&str>) -> Value {
        json!({"terminated": {"exitCode": code, "containerID": "c", "message": message}})
    }

    #[test]
    fn the_log_is_read_of_what_ended_badly_without_a_word() {
        let (running, waiting) = (json!({"running": {}}), json!({"waiting": {"reason": "CrashLoopBackOff"}}));
        let previous = |pod: &Pod| silent(pod).into_iter().map(|one| one.previous).collect::<Vec<_>>();
        assert_eq!(previous(&pod(&terminated(1, None), &terminated(1, None))), [false]);
        assert_eq!(previous(&pod(&waiting, &terminated(1, None))), [true]);
        assert_eq!(previous(&pod(&running, &terminated(1, None))), [true]);
        assert_eq!(previous(&pod(&waiting, &terminated(1, Some("words")))), [false; 0]);
        assert_eq!(previous(&pod(&running, &terminated(0, None))), [false; 0]);
        assert_eq!(previous(&pod(&running, &json!({}))), [false; 0]);
    }

    #[test]
    fn what_was_read_stands_in_the_status_as_if_kubernetes_had_kept_it() {
        let pod = Arc::new(pod(&json!({"waiting": {}}), &terminated(1, None)));
        let place = silent(&pod)[0].place.clone();
        let said = Words { id: "c".to_owned(), said: "no broker".to_owned() };
        let words = LastWords(HashMap::from([(place, said)]));
        let filled = words.filled_in(pod);
        let statuses = filled.status.as_ref().and_then(|status| status.container_statuses.as_ref()).unwrap();
        let last = statuses[0].last_state.as_ref().and_then(|state| state.terminated.as_ref()).unwrap();
        assert_eq!(last.message.as_deref(), Some("no broker"));
    }
}
