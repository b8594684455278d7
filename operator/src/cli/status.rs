//! `todo-operator status`: a platform with its conditions, components, services and pods, and what is wrong with each.

use std::{io, process::ExitCode};

use anyhow::Context;
use clap::{Args, ValueEnum, builder::styling::AnsiColor};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Api, ResourceExt, api::ListParams};
use serde::Serialize;
use todo_crds::platform::{ComponentStatus, ServiceStatus, TodoPlatform, TodoPlatformStatus, condition};

use super::{
    client,
    tree::{Mark, Paint, Tree},
};
use crate::{
    names::platform_label,
    observe::{is_ready, rollout},
};

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// Name of the `TodoPlatform`.
    name: String,
    /// Namespace; that of the kubeconfig's context if absent.
    #[arg(short, long)]
    namespace: Option<String>,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Tree,
    /// For programs.
    Json,
}

/// Prints how a platform is. The exit code is 0 if it is Ready.
pub(super) async fn run(args: StatusArgs, out: &mut impl io::Write) -> anyhow::Result<ExitCode> {
    let client = client::connect(None).await?;
    let namespace = args.namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let platforms: Api<TodoPlatform> = Api::namespaced(client.clone(), &namespace);
    let platform = platforms.get_opt(&args.name).await;
    let platform = platform.map_err(|error| client::cannot("read TodoPlatforms", &error))?;
    let platform =
        platform.with_context(|| format!("there is no TodoPlatform {} in namespace {namespace}", args.name))?;
    let labels = format!("{}={}", platform_label(), args.name);
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let pods = pods.list(&ListParams::default().labels(&labels)).await;
    let pods = pods.map_err(|error| client::cannot("list pods", &error))?;

    let report = Report::of(&platform, &pods.items);
    let text = match args.output {
        Output::Tree => report.tree(Paint::for_output()).to_string(),
        Output::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    out.write_all(text.as_bytes()).context("cannot write to the output")?;
    Ok(if report.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A platform as it is.
#[derive(Debug, Serialize)]
struct Report {
    namespace: String,
    name: String,
    /// Whether it is Ready, as the operator says about the present spec.
    ready: bool,
    /// Whether the operator has looked at the present spec.
    current: bool,
    status: TodoPlatformStatus,
    pods: Vec<PodReport>,
}

/// A pod as it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct PodReport {
    name: String,
    /// Service or embedded part that it is one of.
    part: String,
    ready: bool,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Report {
    fn of(platform: &TodoPlatform, pods: &[Pod]) -> Self {
        let status = platform.status.clone().unwrap_or_default();
        let current = status.observed_generation == platform.metadata.generation;
        let is_ready = |one: &Condition| one.type_ == condition::READY && one.status == "True";
        let mut pods: Vec<_> = pods.iter().map(PodReport::of).collect();
        pods.sort_by(|one, other| (&one.part, &one.name).cmp(&(&other.part, &other.name)));
        Self {
            namespace: platform.namespace().unwrap_or_default(),
            name: platform.name_any(),
            ready: current && status.conditions.iter().any(is_ready),
            current,
            status,
            pods,
        }
    }

    fn tree(&self, paint: Paint) -> Tree {
        let (mark, said) = match (self.current, self.ready) {
            (false, _) => (Mark::Unsure, "the operator has not looked at the present spec yet"),
            (true, true) => (Mark::Good, "Ready"),
            (true, false) => (Mark::Bad, "not Ready"),
        };
        let url = self.status.url.as_deref().unwrap_or_default();
        let line = format!("{} TodoPlatform {}/{}: {said}  {url}", paint.mark(mark), self.namespace, self.name);
        let group = |name: &str, children: Vec<Tree>| {
            (!children.is_empty()).then(|| Tree::new(paint.paint(AnsiColor::Cyan, name), children))
        };
        let conditions = self.status.conditions.iter().map(|one| condition_line(one, paint)).collect();
        let components = self.status.components.iter().map(|one| component_line(one, paint)).collect();
        let services = self.status.services.iter().map(|one| self.service(one, paint)).collect();
        let conflicts = self.status.ownership_conflicts.iter().map(|conflict| {
            let (object, field, manager) = (&conflict.object, &conflict.field, &conflict.manager);
            Tree::leaf(format!("{} {object} {field} by {manager}: {}", paint.mark(Mark::Unsure), conflict.message))
        });
        let groups = [
            group("conditions", conditions),
            group("components", components),
            group("services", services),
            group("other pods", self.other_pods(paint)),
            group("fields that others claim", conflicts.collect()),
        ];
        Tree::new(line.trim_end(), groups.into_iter().flatten().collect())
    }

    fn service(&self, service: &ServiceStatus, paint: Paint) -> Tree {
        let good = service.replicas > 0 && service.ready >= service.replicas && service.message.is_none();
        let mark = paint.mark(if good { Mark::Good } else { Mark::Bad });
        let (name, ready, replicas, sidecars) = (&service.name, service.ready, service.replicas, service.sidecars);
        let line = format!("{mark} {name}: {ready}/{replicas} ready, {sidecars} with a sidecar, {}", service.image);
        let pods = self.pods.iter().filter(|pod| pod.part == *name).map(|pod| pod.line(paint));
        Tree::new(said(line, service.message.as_deref()), pods.collect())
    }

    /// Those of embedded parts; all of them while the operator says nothing about services.
    fn other_pods(&self, paint: Paint) -> Vec<Tree> {
        let named = |pod: &&PodReport| self.status.services.iter().any(|service| service.name == pod.part);
        self.pods.iter().filter(|pod| !named(pod)).map(|pod| pod.line(paint)).collect()
    }
}

impl PodReport {
    fn of(pod: &Pod) -> Self {
        let message = why_not_ready(pod);
        let part = pod.labels().get("app").cloned().unwrap_or_default();
        Self { name: pod.name_any(), part, ready: message.is_none(), message }
    }

    fn line(&self, paint: Paint) -> Tree {
        let mark = paint.mark(if self.ready { Mark::Good } else { Mark::Bad });
        Tree::leaf(said(format!("{mark} pod {}", self.name), self.message.as_deref()))
    }
}

/// Why a pod is not ready, if it is not.
fn why_not_ready(pod: &Pod) -> Option<String> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("is being deleted".to_owned());
    }
    if is_ready(pod) {
        return None;
    }
    if let Some(trouble) = rollout::trouble(pod) {
        return Some(trouble.message);
    }
    let status = pod.status.as_ref();
    let containers = status.into_iter().flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    // The others wait for the first.
    let first = containers.into_iter().find(|container| !container.ready).map(|container| {
        let state = container.state.as_ref();
        let waiting = state.and_then(|state| state.waiting.as_ref()).and_then(|waiting| waiting.reason.as_deref());
        let ended = state.and_then(|state| state.terminated.as_ref());
        let why = match (waiting, ended) {
            (Some(reason), _) => format!("waits ({reason})"),
            (None, Some(ended)) => format!("ended with code {}", ended.exit_code),
            (None, None) => "runs and its readiness probe has not succeeded yet".to_owned(),
        };
        format!("container {}: {why}", container.name)
    });
    let phase = || status.and_then(|status| status.phase.as_deref()).unwrap_or("Unknown").to_owned();
    Some(first.unwrap_or_else(phase))
}

fn condition_line(one: &Condition, paint: Paint) -> Tree {
    let abnormal_when_true = [condition::DEGRADED, condition::PROGRESSING].contains(&one.type_.as_str());
    let mark = match (one.status.as_str(), abnormal_when_true) {
        ("True", false) | ("False", true) => Mark::Good,
        ("False", false) => Mark::Bad,
        _ => Mark::Unsure,
    };
    let line = format!("{} {}={} {}", paint.mark(mark), one.type_, one.status, one.reason);
    Tree::leaf(said(line, Some(one.message.as_str()).filter(|message| !message.is_empty())))
}

fn component_line(one: &ComponentStatus, paint: Paint) -> Tree {
    let mark = match (one.expected, one.loaded_by >= one.expected && one.message.is_none()) {
        (_, false) => Mark::Bad,
        // No sidecar runs that could load it.
        (0, true) => Mark::Unsure,
        (_, true) => Mark::Good,
    };
    let mark = paint.mark(mark);
    let (name, kind, version) = (&one.name, &one.type_, &one.version);
    let line = format!("{mark} {name} ({kind} {version}): loaded by {} of {} sidecars", one.loaded_by, one.expected);
    Tree::leaf(said(line, one.message.as_deref()))
}

fn said(line: String, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{line}: {message}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        let metadata = json!({"name": "backend-1", "labels": {"app": "backend-service"}});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
    }

    fn container(name: &str, state: &Value) -> Value {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    }

    #[test]
    fn why_a_pod_is_not_ready_is_said_in_words() {
        let crash = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
        for (status, why) in [
            (json!({"conditions": [{"type": "Ready", "status": "True"}]}), None),
            (json!({"phase": "Pending"}), Some("Pending")),
            (
                json!({"containerStatuses": [container("backend", &crash)]}),
                Some("container backend: ImagePullBackOff: no such image"),
            ),
            (
                json!({"containerStatuses": [container("backend", &json!({"running": {}}))]}),
                Some("container backend: runs and its readiness probe has not succeeded yet"),
            ),
            (
                json!({"initContainerStatuses": [container("format", &json!({"waiting": {"reason": "PodInitializing"}}))]}),
                Some("container format: waits (PodInitializing)"),
            ),
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"}]}),
                Some("cannot be scheduled: no cpu"),
            ),
        ] {
            assert_eq!(why_not_ready(&pod(&status)).as_deref(), why, "{status}");
        }
    }

    fn platform(generation: i64, ready: &str) -> TodoPlatform {
        serde_json::from_value(json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
            "metadata": {"name": "todo", "namespace": "ns", "generation": generation}, "spec": {},
            "status": {
                "observedGeneration": 1, "url": "http://frontend-service.ns.svc",
                "conditions": [
                    {"type": "Ready", "status": ready, "reason": "Verified", "message": "all is well", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    {"type": "Degraded", "status": "False", "reason": "AsExpected", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                ],
                "components": [{"name": "statestore", "type": "state.postgresql", "version": "v1", "loadedBy": 1, "expected": 2, "message": "no database"}],
                "services": [{"name": "backend-service", "image": "todo-backend:1", "replicas": 1, "ready": 1, "sidecars": 1}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_tree_has_pods_below_their_services() {
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let kafka: Pod = serde_json::from_value(json!({
            "metadata": {"name": "kafka-0", "labels": {"app": "kafka"}}, "status": {"phase": "Pending"},
        }))
        .unwrap();
        let report = Report::of(&platform(1, "True"), &[kafka, pod(&ready)]);
        assert!(report.ready);
        assert_eq!(
            report.tree(Paint::PLAIN).to_string(),
            "✔ TodoPlatform ns/todo: Ready  http://frontend-service.ns.svc
├─ conditions
│  ├─ ✔ Ready=True Verified: all is well
│  └─ ✔ Degraded=False AsExpected
├─ components
│  └─ ✘ statestore (state.postgresql v1): loaded by 1 of 2 sidecars: no database
├─ services
│  └─ ✔ backend-service: 1/1 ready, 1 with a sidecar, todo-backend:1
│     └─ ✔ pod backend-1
└─ other pods
   └─ ✘ pod kafka-0: Pending
"
        );
    }

    #[test]
    fn what_was_said_about_an_earlier_spec_does_not_count() {
        assert!(Report::of(&platform(1, "True"), &[]).ready);
        assert!(!Report::of(&platform(1, "False"), &[]).ready);
        let stale = Report::of(&platform(2, "True"), &[]);
        assert!(!stale.ready && !stale.current);
    }
}
