//! Asks the sidecars which components they have really loaded. Dapr's own objects have no status.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde::Deserialize;
use todo_crds::dapr::Component;

use super::{
    http::{CONCURRENCY, Look},
    rollout::last_line,
    sidecar::{DAPRD, has_one},
};
use crate::{
    build::dapr::component,
    names::{App, DAPR_PUBLIC_PORT},
    resolve::Resolved,
    text::bounded,
};

/// How long an answer with all components in it is good for.
const FRESH: Duration = Duration::from_secs(30);
/// How long it is believed beyond that while the sidecar runs and misses a question: one answer that is late says nothing
/// about what is loaded.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of a message that are kept.
const MESSAGE: usize = 512;

/// A component as the sidecars have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentObserved {
    /// Name of the component.
    pub name: String,
    /// Its type.
    pub type_: String,
    /// Version of its implementation.
    pub version: String,
    /// Sidecars that have loaded it.
    pub loaded_by: i32,
    /// Sidecars that should have.
    pub expected: i32,
    /// Why one has not.
    pub message: Option<String>,
    /// Whether that is only because a sidecar is just starting.
    pub starting: bool,
}

/// Answers of sidecars that are still good, by pod.
#[derive(Debug, Default)]
pub struct DaprdMemory(HashMap<String, Kept>);

/// An answer with all components in it.
#[derive(Clone, Debug)]
struct Kept {
    /// That of the sidecar that gave it.
    incarnation: String,
    good_until: Instant,
    answer: Answer,
}

/// What one sidecar says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// The components that it has loaded.
    Loaded(Vec<Loaded>),
    /// Why it says nothing yet.
    Starting(String),
    /// Why it says nothing.
    Silent(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Loaded {
    name: String,
    #[serde(rename = "type")]
    type_: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    components: Vec<Loaded>,
}

/// One sidecar.
struct Sidecar<'a> {
    app: App,
    pod: &'a Pod,
    /// Changes when the container is another one.
    incarnation: String,
}

/// What the sidecars have of each component.
pub(super) async fn components(
    look: Look<'_>,
    platform: &Resolved,
    pods: &[(App, &Pod)],
    memory: &mut DaprdMemory,
    now: Instant,
) -> Vec<ComponentObserved> {
    let components = component::all(platform);
    let sidecars: Vec<Sidecar<'_>> = pods
        .iter()
        .filter(|(app, pod)| has_one(pod) && components.iter().any(|component| in_scope(component, *app)))
        .map(|(app, pod)| Sidecar { app: *app, pod, incarnation: incarnation(pod) })
        .collect();
    memory.0.retain(|name, kept| {
        let same = |sidecar: &Sidecar<'_>| sidecar.name() == name && sidecar.incarnation == kept.incarnation;
        now < kept.good_until + PATIENCE && sidecars.iter().any(same)
    });
    let known = &memory.0;
    let questions: Vec<_> = sidecars
        .iter()
        .map(|sidecar| async move {
            let before = known.get(sidecar.name());
            if let Some(kept) = before.filter(|kept| now < kept.good_until) {
                return Heard::before(kept);
            }
            match (ask(look, sidecar.pod).await, before) {
                (Answer::Silent(_), Some(kept)) if ended(sidecar.pod).is_none() => Heard::before(kept),
                (answer, _) => Heard { answer, is_new: true },
            }
        })
        .collect();
    let heard: Vec<Heard> = stream::iter(questions).buffered(CONCURRENCY).collect().await;
    for (sidecar, Heard { answer, .. }) in sidecars.iter().zip(&heard).filter(|(_, heard)| heard.is_new) {
        let name = sidecar.name().to_owned();
        if components.iter().filter(|c| in_scope(c, sidecar.app)).all(|c| has_loaded(answer, c)) {
            let (incarnation, answer) = (sidecar.incarnation.clone(), answer.clone());
            memory.0.insert(name, Kept { incarnation, good_until: now + FRESH, answer });
        } else {
            memory.0.remove(&name);
        }
    }
    let answers: Vec<Answer> = heard.into_iter().map(|heard| heard.answer).collect();
    components.iter().map(|component| sum_up(component, &sidecars, &answers)).collect()
}

/// What is taken for the answer of a sidecar.
struct Heard {
    answer: Answer,
    /// Whether it was given just now.
    is_new: bool,
}

impl Heard {
    fn before(kept: &Kept) -> Self {
        Self { answer: kept.answer.clone(), is_new: false }
    }
}

impl Sidecar<'_> {
    fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }
}

fn in_scope(component: &Component, app: App) -> bool {
    component.scopes.iter().any(|scope| scope == app.id())
}

fn has_loaded(answer: &Answer, component: &Component) -> bool {
    let Answer::Loaded(loaded) = answer else { return false };
    loaded.iter().any(|loaded| {
        Some(&loaded.name) == component.metadata.name.as_ref()
            && loaded.type_ == component.spec.type_
            && loaded.version == component.spec.version
    })
}

fn sum_up(component: &Component, sidecars: &[Sidecar<'_>], answers: &[Answer]) -> ComponentObserved {
    let (mut loaded_by, mut expected) = (0, 0);
    let (mut late, mut broken) = (None, None);
    for (sidecar, answer) in sidecars.iter().zip(answers).filter(|(sidecar, _)| in_scope(component, sidecar.app)) {
        expected += 1;
        if has_loaded(answer, component) {
            loaded_by += 1;
            continue;
        }
        let (slot, why) = match answer {
            Answer::Starting(why) => (&mut late, why.as_str()),
            Answer::Silent(why) => (&mut broken, why.as_str()),
            Answer::Loaded(_) => (&mut broken, "the sidecar runs without it"),
        };
        slot.get_or_insert_with(|| bounded(&format!("pod {}: {why}", sidecar.name()), MESSAGE));
    }
    let starting = broken.is_none() && late.is_some();
    ComponentObserved {
        name: component.metadata.name.clone().unwrap_or_default(),
        type_: component.spec.type_.clone(),
        version: component.spec.version.clone(),
        loaded_by,
        expected,
        message: broken.or(late),
        starting,
    }
}

async fn ask(look: Look<'_>, pod: &Pod) -> Answer {
    let status = pod.status.as_ref();
    let Some(address) = status.and_then(|status| status.pod_ip.as_deref()).and_then(|ip| ip.parse::<IpAddr>().ok())
    else {
        return Answer::Starting("the pod has no address yet".to_owned());
    };
    let is_new = is_new(pod);
    if let Some(why) = ended(pod) {
        return if is_new { Answer::Starting(why) } else { Answer::Silent(why) };
    }
    match look.get::<Metadata>(address, DAPR_PUBLIC_PORT, "/v1.0/metadata").await {
        Ok(metadata) => Answer::Loaded(metadata.components),
        Err(why) if is_new => Answer::Starting(format!("its sidecar starts ({why})")),
        Err(why) => Answer::Silent(format!("its sidecar {why}")),
    }
}

/// Whether the sidecar has never ended and was never ready since.
fn is_new(pod: &Pod) -> bool {
    state(pod).is_none_or(|daprd| !daprd.ready && daprd.restart_count == 0)
}

/// What the kubelet says of the sidecar, which may be one of the init containers that run on.
fn state(pod: &Pod) -> Option<&ContainerStatus> {
    let status = pod.status.as_ref()?;
    let mut all = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    all.find(|container| container.name == DAPRD)
}

/// Why the sidecar does not run, in its own words if it left some.
fn ended(pod: &Pod) -> Option<String> {
    let daprd = state(pod)?;
    let state = daprd.state.as_ref()?;
    if state.running.is_some() {
        return None;
    }
    let ended = state.terminated.as_ref().or_else(|| daprd.last_state.as_ref()?.terminated.as_ref());
    let words = ended.and_then(|ended| ended.message.as_deref()).and_then(last_line);
    let waiting =
        || state.waiting.as_ref().and_then(|waiting| waiting.message.clone().or_else(|| waiting.reason.clone()));
    Some(match (words, ended) {
        (Some(words), _) => format!("its sidecar ended: {words}"),
        (None, Some(ended)) => format!("its sidecar ended with code {}", ended.exit_code),
        (None, None) => {
            format!("its sidecar does not run: {}", waiting().unwrap_or_else(|| "not started yet".to_owned()))
        }
    })
}

fn incarnation(pod: &Pod) -> String {
    let restarts = state(pod).map_or(0, |daprd| daprd.restart_count);
    format!("{} {restarts}", pod.metadata.uid.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use todo_crds::dapr::ComponentSpec;

    use super::*;

    fn pod(name: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
    }

    fn state_store() -> Component {
        let mut component = Component::new("statestore", ComponentSpec::new("state.postgresql", "v1", Vec::new()));
        component.scopes = vec![App::Backend.id().to_owned()];
        component
    }

    fn loaded(version: &str) -> Answer {
        Answer::Loaded(vec![Loaded {
            name: "statestore".to_owned(),
            type_: "state.postgresql".to_owned(),
            version: version.to_owned(),
        }])
    }

    #[test]
    fn a_component_is_loaded_only_by_name_type_and_version_and_the_first_pod_without_it_is_named() {
        let pods = [pod("backend-1"), pod("backend-2"), pod("notification-1")];
        let sidecar = |app, pod| Sidecar { app, pod, incarnation: String::new() };
        let sidecars =
            [sidecar(App::Backend, &pods[0]), sidecar(App::Backend, &pods[1]), sidecar(App::Notification, &pods[2])];
        let answers = [loaded("v1"), loaded("v2"), Answer::Silent("x".to_owned())];
        let observed = sum_up(&state_store(), &sidecars, &answers);
        assert_eq!((observed.loaded_by, observed.expected), (1, 2), "the notification service is not in scope");
        assert_eq!(observed.message.as_deref(), Some("pod backend-2: the sidecar runs without it"));
    }

    #[test]
    fn a_sidecar_that_only_starts_is_told_from_one_that_fails() {
        let pods = [pod("backend-1"), pod("backend-2")];
        let sidecars = [0, 1].map(|n| Sidecar { app: App::Backend, pod: &pods[n], incarnation: String::new() });
        let starting = Answer::Starting("no address yet".to_owned());
        let only_late = sum_up(&state_store(), &sidecars, &[starting.clone(), loaded("v1")]);
        assert_eq!((only_late.starting, only_late.loaded_by), (true, 1));
        let broken = sum_up(&state_store(), &sidecars, &[starting, Answer::Silent("it ended".to_owned())]);
        assert_eq!((broken.starting, broken.message.as_deref()), (false, Some("pod backend-2: it ended")));
    }

    #[test]
    fn a_sidecar_that_ended_is_quoted_and_no_longer_new_wherever_the_pod_lists_it() {
        for list in ["containerStatuses", "initContainerStatuses"] {
            let pod: Pod = serde_json::from_value(json!({"status": {list: [{
                "name": "daprd", "image": "", "imageID": "", "ready": false, "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1,
                    "message": "{\"msg\":\"init timeout for component kafka-pubsub\"}"}},
            }]}}))
            .unwrap();
            let words = "its sidecar ended: init timeout for component kafka-pubsub";
            assert_eq!(ended(&pod).as_deref(), Some(words), "{list}");
            assert!(!is_new(&pod), "{list}");
            assert_eq!(incarnation(&pod), " 1", "{list}");
        }
    }
}
