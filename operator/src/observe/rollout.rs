//! How far a Deployment or StatefulSet is, and if it is stuck, why. Pure: all of it is in what the watches bring.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::core::DynamicObject;
use serde_json::Value;

use super::passwords::without_passwords;
use crate::text::bounded;

/// Characters of a message that are kept.
const MESSAGE: usize = 512;
/// What the kubelet calls a container that ended too soon, before it starts it once more.
const CRASH_LOOP: &str = "CrashLoopBackOff";
/// Restarts after which a container that ended too soon counts as one that cannot start.
const CRASHES: i32 = 2;
/// What is said of a workload that is as it was before it was written.
const NOT_TAKEN_UP: &str = "the change has not been taken up yet";
/// How long a container has to run for the kubelet to forget that it ended before.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(10);

/// How far a Deployment or StatefulSet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Pods that it is to have.
    pub desired: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Whether it is done, under way or stuck.
    pub state: State,
}

/// See [`Rollout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not exist.
    Absent,
    /// Every pod is of the latest template and ready.
    Done,
    /// Under way.
    Progressing(String),
    /// It will not get there by itself.
    Stuck {
        /// In one word.
        reason: String,
        /// In words, with the pod.
        message: String,
    },
}

/// Why a workload, a pod or a container will not get there by itself. Of several, the first in this order is told each time, so
/// that a status does not change without need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Trouble {
    /// In one word.
    pub(crate) reason: String,
    /// In words, which may be put after a name.
    pub(crate) message: String,
}

impl Trouble {
    fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }

    /// The same, said of what it is a part of: its words come after `name`.
    fn of(self, name: &str) -> Self {
        Self { message: format!("{name}{}", self.message), ..self }
    }
}

impl Rollout {
    /// Whether enough pods serve, whatever else is under way.
    pub const fn is_serving(&self) -> bool {
        self.serves_with(self.desired)
    }

    /// Whether enough pods serve where fewer than all do, if there are `needed` of them.
    pub(super) const fn serves_with(&self, needed: i32) -> bool {
        let enough = self.ready >= self.desired || self.ready >= needed && self.ready > 0;
        enough && self.desired > 0 && !matches!(self.state, State::Absent)
    }

    /// The same, if its object may have been written since it was seen: what was done then is not known to be done now.
    pub(super) fn unless(self, is_outdated: bool) -> Self {
        match self.state {
            State::Done if is_outdated => Self { state: State::Progressing(NOT_TAKEN_UP.to_owned()), ..self },
            _ => self,
        }
    }

    /// What is to be said about it, if it is not done.
    pub fn message(&self) -> Option<&str> {
        match &self.state {
            State::Done => None,
            State::Absent => Some("not made yet"),
            State::Progressing(message) | State::Stuck { message, .. } => Some(message),
        }
    }
}

/// Looks at a workload and its pods.
pub fn of(workload: Option<&DynamicObject>, pods: &[&Pod]) -> Rollout {
    let Some(workload) = workload else { return Rollout { desired: 0, ready: 0, state: State::Absent } };
    let number = |path: &str| {
        let number = workload.data.pointer(path).and_then(Value::as_i64).unwrap_or_default();
        i32::try_from(number).unwrap_or(i32::MAX)
    };
    let desired = workload.data.pointer("/spec/replicas").map_or(1, |_| number("/spec/replicas"));
    let (all, updated, ready) =
        (number("/status/replicas"), number("/status/updatedReplicas"), number("/status/readyReplicas"));
    let seen = workload.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
    let state = if seen < workload.metadata.generation {
        State::Progressing(NOT_TAKEN_UP.to_owned())
    } else if updated >= desired && ready >= desired && all <= updated {
        State::Done
    } else if let Some(Trouble { reason, message }) = stuck_pod(pods).or_else(|| refused(workload)) {
        State::Stuck { reason, message: bounded(&message, MESSAGE) }
    } else if updated < desired || all > updated {
        State::Progressing(format!("{updated} of {desired} pods are of the latest version, {ready} are ready"))
    } else {
        State::Progressing(format!("{ready} of {desired} pods are ready"))
    };
    Rollout { desired, ready, state }
}

/// What Kubernetes says about a workload whose pods it cannot make.
fn refused(workload: &DynamicObject) -> Option<Trouble> {
    let conditions = workload.data.pointer("/status/conditions")?.as_array()?;
    let find = |type_: &str, status: &str| {
        let of_type = conditions.iter().find(|c| c["type"] == type_ && c["status"] == status)?;
        let text = |field: &str| of_type.get(field).and_then(Value::as_str).unwrap_or_default();
        Some(Trouble::new(text("reason"), text("message")))
    };
    match find("ReplicaFailure", "True") {
        Some(unexplained) if unexplained.reason.is_empty() => Some(Trouble::new("PodsRefused", unexplained.message)),
        Some(refused) => Some(refused),
        None => find("Progressing", "False").filter(|late| late.reason == "ProgressDeadlineExceeded"),
    }
}

fn stuck_pod(pods: &[&Pod]) -> Option<Trouble> {
    let stuck = |pod: &&Pod| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        Some(trouble(pod)?.of(&format!("pod {name} ")))
    };
    pods.iter().filter_map(stuck).min()
}

/// Why a pod will not become ready by itself, in words to be put after its name.
pub(crate) fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no node takes it");
        return Some(Trouble::new("Unschedulable", format!("cannot be scheduled: {why}")));
    }
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    containers
        .filter(|container| !container.ready)
        .find_map(|container| Some(container_trouble(container)?.of(&format!("container {}: ", container.name))))
}

/// Why a container does not run.
fn container_trouble(container: &ContainerStatus) -> Option<Trouble> {
    let last_words = || {
        let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        let ended = ended.or_else(|| container.last_state.as_ref().and_then(|state| state.terminated.as_ref()))?;
        let said = ended.message.as_deref().and_then(last_line).map(|line| format!(": {line}")).unwrap_or_default();
        Some(format!("ended with code {}{said}", ended.exit_code))
    };
    if let Some(waiting) = container.state.as_ref().and_then(|state| state.waiting.as_ref()) {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        return match reason {
            "" | "ContainerCreating" | "PodInitializing" => None,
            CRASH_LOOP => Some(Trouble::new(reason, last_words().unwrap_or_else(|| "ends again and again".to_owned()))),
            _ => {
                let said = waiting.message.as_deref().unwrap_or("cannot start");
                let Trouble { reason, message } = pull(reason, said).unwrap_or_else(|| Trouble::new(reason, said));
                let message = format!("{reason}: {message}");
                Some(Trouble { reason, message })
            }
        };
    }
    // Also while it runs once more, else it would be said to have recovered with every restart.
    let loops = [container.state.as_ref(), container.last_state.as_ref()]
        .into_iter()
        .filter_map(|state| state?.terminated.as_ref())
        .any(|ended| ended.exit_code != 0 || was_short(ended));
    if !loops || container.restart_count < CRASHES {
        return None;
    }
    Some(Trouble::new(CRASH_LOOP, last_words()?))
}

/// What is to be said of an image that cannot be pulled. The kubelet goes to and fro between a try and the wait for the next
/// one, which it explains by the try before: `Back-off pulling image "x": ErrImagePull: not found`. That is one thing, and a
/// status is to say one thing about it.
fn pull(reason: &str, said: &str) -> Option<Trouble> {
    const WAIT: &str = "ImagePullBackOff";
    const TRY: &str = "ErrImagePull";
    match reason {
        TRY => Some(Trouble::new(WAIT, said)),
        "RegistryUnavailable" | "SignatureValidationFailed" => Some(Trouble::new(WAIT, format!("{reason}: {said}"))),
        WAIT => {
            let before = said.strip_prefix("Back-off pulling image \"").and_then(|rest| rest.split_once("\": "));
            let cause = before.map_or(said, |(_, cause)| cause);
            Some(Trouble::new(WAIT, cause.strip_prefix(TRY).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(cause)))
        }
        _ => None,
    }
}

/// Whether a container ran for less time than it takes the kubelet to forget that it ended. None of ours is to end by
/// itself; one that its liveness probe ends may do so in good order, with code 0, and so may one whose node is started
/// anew, after a long life.
fn was_short(ended: &ContainerStateTerminated) -> bool {
    match (&ended.started_at, &ended.finished_at) {
        (Some(began), Some(end)) => end.0.duration_since(began.0) < FORGOTTEN,
        _ => true,
    }
}

/// The line of a container's last words that says most: the last that is logged as an error, else the last one.
pub(super) fn last_line(text: &str) -> Option<String> {
    let lines = || text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    // Our services and daprd log JSON; what matters is its message.
    let logged = |line: &str| serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
    let is_error = |log: &Value| {
        let level = log["level"].as_str().unwrap_or_default().to_ascii_lowercase();
        ["error", "fatal", "panic"].contains(&level.as_str())
    };
    let line = lines().find(|line| logged(line).is_some_and(|log| is_error(&log))).or_else(|| lines().next())?;
    let message = logged(line).and_then(|log| {
        let message = log.get("msg").or_else(|| log.get("message")).or_else(|| log.pointer("/fields/message"))?;
        message.as_str().map(str::to_owned)
    });
    // A terminal may do what such characters tell it.
    let printable = message.unwrap_or_else(|| line.to_owned()).replace(char::is_control, " ");
    Some(bounded(&without_passwords(&printable), MESSAGE))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(spec: i64, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "backend-service", "generation": 3},
            "spec": {"replicas": spec}, "status": status,
        }))
        .unwrap()
    }

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "backend-1"}, "status": status})).unwrap()
    }

    fn under_way() -> DynamicObject {
        deployment(2, &json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2}))
    }

    fn waiting(reason: &str, message: &str, last: &Value) -> Pod {
        pod(&json!({"containerStatuses": [{
            "name": "daprd", "image": "", "imageID": "", "ready": false, "restartCount": 4,
            "state": {"waiting": {"reason": reason, "message": message}}, "lastState": last,
        }]}))
    }

    #[test]
    fn a_rollout_is_done_when_all_pods_are_new_and_ready_and_none_is_left_over() {
        let status = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2});
        let done = of(Some(&deployment(2, &status)), &[]);
        assert_eq!((done.state.clone(), done.is_serving()), (State::Done, true));
        let stale = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2});
        assert!(matches!(of(Some(&deployment(2, &stale)), &[]).state, State::Progressing(_)));
        let left_over = json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3});
        assert!(matches!(of(Some(&deployment(2, &left_over)), &[]).state, State::Progressing(_)));
        assert_eq!(of(None, &[]).state, State::Absent);
    }

    #[test]
    fn what_keeps_a_pod_from_starting_is_named_with_pod_and_container() {
        let ended = json!({"terminated": {"exitCode": 1, "message":
            "info\n{\"level\":\"fatal\",\"msg\":\"Fatal error from runtime: failed to load components: kafka-pubsub\"}\n"}});
        for (pod, reason, message) in [
            (
                waiting("ImagePullBackOff", "Back-off pulling image \"x\"", &json!({})),
                "ImagePullBackOff",
                "pod backend-1 container daprd: ImagePullBackOff: Back-off pulling image \"x\"",
            ),
            (
                waiting("CrashLoopBackOff", "back-off 40s", &ended),
                "CrashLoopBackOff",
                "pod backend-1 container daprd: ended with code 1: Fatal error from runtime: failed to load components: \
                 kafka-pubsub",
            ),
            (
                waiting("CreateContainerConfigError", "secret \"todo-app-token\" not found", &json!({})),
                "CreateContainerConfigError",
                "pod backend-1 container daprd: CreateContainerConfigError: secret \"todo-app-token\" not found",
            ),
            (
                pod(&json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                    "message": "0/1 nodes are available: 1 Insufficient cpu."}]})),
                "Unschedulable",
                "pod backend-1 cannot be scheduled: 0/1 nodes are available: 1 Insufficient cpu.",
            ),
        ] {
            let rollout = of(Some(&under_way()), &[&pod]);
            let stuck = State::Stuck { reason: reason.to_owned(), message: message.to_owned() };
            assert_eq!(rollout.state, stuck);
            assert!(rollout.is_serving(), "the old pods still do");
        }
    }

    #[test]
    fn a_container_that_ends_again_and_again_is_stuck_throughout() {
        let ended = json!({"terminated": {"exitCode": 1, "message": "no database"}});
        let container = |restarts: i32, state: &Value, last: &Value| {
            pod(&json!({"containerStatuses": [{"name": "app", "image": "", "imageID": "", "ready": false,
                "restartCount": restarts, "state": state, "lastState": last}]}))
        };
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let looping = Some(Trouble::new("CrashLoopBackOff", "container app: ended with code 1: no database"));
        for state in [&running, &waiting, &ended] {
            assert_eq!(trouble(&container(3, state, &ended)), looping);
        }
        assert_eq!(trouble(&container(1, &running, &ended)), None, "once is no loop");
        // A liveness probe ends what obeys with code 0, and what serves is not to end at all.
        let in_good_order =
            |end: &str| json!({"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": end}});
        let (soon, late) = (in_good_order("2026-01-01T00:00:40Z"), in_good_order("2026-01-01T00:11:00Z"));
        let looping = Some(Trouble::new("CrashLoopBackOff", "container app: ended with code 0"));
        assert_eq!(trouble(&container(3, &running, &soon)), looping);
        assert_eq!(trouble(&container(1, &running, &soon)), None);
        assert_eq!(trouble(&container(3, &running, &late)), None, "its node was started anew");
    }

    #[test]
    fn of_last_words_the_last_error_is_quoted_and_no_password() {
        let json = |level: &str, message: &str| format!("{{\"level\":\"{level}\",\"msg\":\"{message}\"}}\n");
        for (text, line) in [
            (json("fatal", "no broker") + &json("info", "stopped"), "no broker"),
            (json("info", "started") + "panic: oh\n\n", "panic: oh"),
            ("{\"level\":\"ERROR\",\"fields\":{\"message\":\"no database\"}}".to_owned(), "no database"),
            (
                "cannot parse postgres://todo:s3cret/@x@db:5432/todo, password=s3cret sslmode=disable".to_owned(),
                "cannot parse postgres://todo:…@db:5432/todo, password=… sslmode=disable",
            ),
            ("see https://docs.dapr.io/x".to_owned(), "see https://docs.dapr.io/x"),
        ] {
            assert_eq!(last_line(&text).as_deref(), Some(line));
        }
        assert_eq!(last_line(" \n"), None);
        let colours = r#"{"level": "error", "msg": "\u001b[2Jno\nbroker"}"#;
        assert_eq!(last_line(colours).as_deref(), Some(" [2Jno broker"));
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_told_in_the_same_words_between_two_tries() {
        let told = |reason: &str, message: &str| trouble(&waiting(reason, message, &json!({})));
        for (reason, tried, said) in [
            ("ErrImagePull", "rpc error: r/x:1: not found", "rpc error: r/x:1: not found"),
            ("RegistryUnavailable", "no route", "RegistryUnavailable: no route"),
        ] {
            let between = format!("Back-off pulling image \"r/x:1\": {reason}: {tried}");
            let words = format!("container daprd: ImagePullBackOff: {said}");
            let expected = Some(Trouble::new("ImagePullBackOff", words));
            assert_eq!(told(reason, tried), expected);
            assert_eq!(told("ImagePullBackOff", &between), expected);
        }
        let unexplained = "Back-off pulling image \"r/x:1\"";
        let words = format!("container daprd: ImagePullBackOff: {unexplained}");
        assert_eq!(told("ImagePullBackOff", unexplained), Some(Trouble::new("ImagePullBackOff", words)));
    }

    #[test]
    fn a_container_that_is_only_slow_is_not_stuck() {
        let slow = waiting("ContainerCreating", "", &json!({}));
        assert!(matches!(of(Some(&under_way()), &[&slow]).state, State::Progressing(_)));
    }

    #[test]
    fn pods_that_are_refused_altogether_are_a_stuck_rollout() {
        let refused = deployment(
            1,
            &json!({"observedGeneration": 3, "conditions": [{"type": "ReplicaFailure", "status": "True",
                "reason": "FailedCreate", "message": "violates PodSecurity \"restricted:latest\""}]}),
        );
        let stuck = State::Stuck {
            reason: "FailedCreate".to_owned(),
            message: "violates PodSecurity \"restricted:latest\"".to_owned(),
        };
        assert_eq!(of(Some(&refused), &[]).state, stuck);
    }
}
