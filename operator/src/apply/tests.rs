use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::http::{Request, Response};
use kube::{
    Client,
    client::Body,
    core::{ApiResource, DynamicObject, ObjectMeta},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    build::Wave,
    plan::{Removal, gate::unread},
    runtime::lease::Leadership,
};

pub(super) fn step(wave: Wave, kind: &str, uid: Option<&str>) -> Step {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: String::new(),
    };
    let body = Box::new(DynamicObject::new("x", &resource));
    let present = uid.map(|uid| Present { uid: uid.to_owned(), ..Present::default() });
    let action = Action::Apply { body, present, reads_anew: false };
    Step { wave, key: Key { kind: kind.to_owned(), name: "x".to_owned() }, resource, action }
}

#[test]
fn pods_read_what_comes_before_them_and_of_that_only_some() {
    for (wave, kind, of, expected) in [
        (Wave::Dapr, "Component", Wave::Workload, true),
        (Wave::Foundation, "ConfigMap", Wave::Infrastructure, true),
        (Wave::Dapr, "Component", Wave::Dapr, false),
        (Wave::Foundation, "Role", Wave::Workload, false),
    ] {
        let held = vec![held(&step(wave, kind, None), Hold::Truce, "")];
        assert_eq!(unread(&held, of).is_some(), expected, "{kind} and {of:?}");
    }
}

#[test]
fn of_a_plan_that_nobody_carries_out_only_what_a_look_shows_is_told() {
    let holds = [Hold::Turn, Hold::Unwatched, Hold::Leaving];
    let plan = Plan {
        steps: vec![step(Wave::Workload, "Service", None)],
        held: holds.map(|hold| held(&step(Wave::Dapr, "Component", None), hold, "")).into(),
        foreign: vec![Foreign {
            key: Key { kind: "Service".to_owned(), name: "x".to_owned() },
            wave: Wave::Workload,
            message: String::new(),
        }],
        fates: vec![Fate { key: Key { kind: "Secret".to_owned(), name: "x".to_owned() }, goes: true }],
        ..Plan::default()
    };
    let applied = Applied::without_a_try(plan);
    let holds: Vec<_> = applied.held.iter().map(|held| held.hold).collect();
    assert_eq!((holds, applied.foreign.len()), (vec![Hold::Unwatched, Hold::Leaving], 1));
    assert_eq!(applied.fates.len(), 1);
}

/// A writer to an API server that forbids to write what has one of these names, and all requests that came to it. Of those
/// that delete, the preconditions as well.
fn forbidding(names: &'static [&'static str]) -> (Writer, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    let server = tower::service_fn(move |request: Request<Body>| {
        let log = Arc::clone(&log);
        async move {
            let path = request.uri().path().to_owned();
            let (method, name) = (request.method().clone(), path.rsplit('/').next().unwrap_or_default().to_owned());
            let body = request.into_body().collect_bytes().await.unwrap();
            let line = if method == "DELETE" {
                let options: Value = serde_json::from_slice(&body).unwrap();
                format!("DELETE {name} if {}", options["preconditions"])
            } else {
                format!("{method} {name}")
            };
            log.lock().unwrap().push(line);
            let is_forbidden = names.contains(&name.as_str());
            let body = if is_forbidden {
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no",
                    "reason": "Forbidden", "code": 403})
            } else if method == "DELETE" {
                json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 200})
            } else {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"name": name, "resourceVersion": "7"}})
            };
            let response = Response::builder().status(if is_forbidden { 403 } else { 200 });
            Ok::<_, Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
        }
    });
    let leads = Leadership::for_an_hour();
    (Writer::new(Client::new(server, "ns"), "ns", leads, Lanes::default()), requests)
}

fn named(wave: Wave, kind: &str, name: &str) -> Step {
    let mut step = step(wave, kind, Some("uid"));
    name.clone_into(&mut step.key.name);
    step.resource.plural = format!("{}s", kind.to_lowercase());
    let Action::Apply { body, .. } = &mut step.action else { unreachable!("it applies") };
    body.metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    step
}

fn identity() -> Identity {
    Identity { namespace: "ns".to_owned(), name: "todo".to_owned(), uid: "1".to_owned() }
}

#[tokio::test]
async fn what_failed_before_is_not_tried_and_keeps_nothing_else_from_being_written() {
    let (writer, requests) = forbidding(&["volume"]);
    let plan = || Plan {
        steps: vec![
            named(Wave::Foundation, "PersistentVolumeClaim", "volume"),
            named(Wave::Workload, "Service", "backend"),
        ],
        ..Plan::default()
    };
    let first = apply(&writer, &identity(), plan(), &[], &mut Fights::default()).await;
    assert_eq!(first.failures.len(), 1);
    let second = apply(&writer, &identity(), plan(), &first.failures, &mut Fights::default()).await;
    assert_eq!(second.failures, first.failures, "it is still told");
    assert_eq!(*requests.lock().unwrap(), ["PATCH volume", "PATCH backend", "PATCH backend"]);
    let config = || vec![named(Wave::Foundation, "ConfigMap", "volume"), named(Wave::Workload, "Service", "backend")];
    let failed = [Failure { key: config()[0].key.clone(), ..first.failures[0].clone() }];
    let plan = Plan { steps: config(), ..Plan::default() };
    let third = apply(&writer, &identity(), plan, &failed, &mut Fights::default()).await;
    assert_eq!((third.written.len(), third.failures.len()), (0, 1), "what needs it waits as before");
}

#[tokio::test]
async fn an_object_that_is_refused_keeps_no_autoscaler_of_another() {
    let removal = |kind: &str, name: &str| Removal {
        key: Key { kind: kind.to_owned(), name: name.to_owned() },
        resource: named(Wave::Workload, kind, name).resource,
        uid: "uid".to_owned(),
    };
    for (refused, expected) in [("page", vec!["backend"]), ("backend", vec![])] {
        let (writer, requests) = forbidding(if refused == "page" { &["page"] } else { &["backend"] });
        let plan = Plan {
            steps: vec![named(Wave::Workload, "Deployment", "backend"), named(Wave::Workload, "Ingress", "page")],
            removals: vec![removal("HorizontalPodAutoscaler", "backend"), removal("Service", "old")],
            ..Plan::default()
        };
        let applied = apply(&writer, &identity(), plan, &[], &mut Fights::default()).await;
        let removed: Vec<_> = applied.removed.iter().map(|key| key.name.as_str()).collect();
        assert_eq!((applied.failures.len(), &removed), (1, &expected), "{refused}");
        let deleted: Vec<_> = removed.iter().map(|name| format!(r#"DELETE {name} if {{"uid":"uid"}}"#)).collect();
        let requests = requests.lock().unwrap();
        let deletions: Vec<_> = requests.iter().filter(|line| line.starts_with("DELETE")).cloned().collect();
        assert_eq!(deletions, deleted, "exactly the object that was seen");
    }
}

#[tokio::test]
async fn a_budget_of_somebody_elses_holds_up_nothing_and_a_volume_of_theirs_what_comes_after_it() {
    let removal = || Removal {
        key: Key { kind: "Service".to_owned(), name: "old".to_owned() },
        resource: named(Wave::Workload, "Service", "old").resource,
        uid: "uid".to_owned(),
    };
    let done = ["PATCH component", "PATCH backend", r#"DELETE old if {"uid":"uid"}"#];
    for (kind, expected) in [("PodDisruptionBudget", done.as_slice()), ("PersistentVolumeClaim", &[])] {
        let theirs = named(Wave::Foundation, kind, "theirs");
        let steps =
            || vec![named(Wave::Dapr, "Component", "component"), named(Wave::Workload, "Deployment", "backend")];
        let foreign = Foreign { key: theirs.key.clone(), wave: theirs.wave, message: "theirs".to_owned() };
        // A watch shows it, or the try to make ours did.
        let shown =
            Plan { steps: steps(), removals: vec![removal()], foreign: vec![foreign.clone()], ..Plan::default() };
        let mut met = Fights::default();
        met.note_foreign(&theirs.key, "theirs", Instant::now());
        let tried = Plan { steps: [vec![theirs], steps()].concat(), removals: vec![removal()], ..Plan::default() };
        for (plan, mut fights) in [(shown, Fights::default()), (tried, met)] {
            let (writer, requests) = forbidding(&[]);
            let applied = apply(&writer, &identity(), plan, &[], &mut fights).await;
            assert_eq!(applied.foreign, std::slice::from_ref(&foreign), "it is told all the same");
            assert_eq!(*requests.lock().unwrap(), expected, "{kind}");
        }
    }
}
