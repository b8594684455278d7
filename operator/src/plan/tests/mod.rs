//! A plan for the default platform, against a namespace in every state that matters.

mod fates;
mod gate;
mod rest;
mod scale;
mod volumes;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use todo_crds::platform::TodoPlatform;

use super::*;
use crate::{
    build, labels,
    names::{App, platform_label},
    resolve::{Found, Maker, Settings, validate},
};

fn identity() -> Identity {
    Identity { namespace: "ns".to_owned(), name: "todo".to_owned(), uid: "uid".to_owned() }
}

fn desired(spec: &Value) -> Desired {
    let platform: TodoPlatform = serde_json::from_value(json!({
        "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
        "metadata": {"name": "todo", "namespace": "ns", "uid": "uid"}, "spec": spec,
    }))
    .unwrap();
    build::desired(&validate(&platform, &Settings::default(), &Found::default()).unwrap())
}

fn default() -> Desired {
    desired(&json!({"auth": {"mode": "disabled"}}))
}

fn open() -> Gates {
    Gates { missing_secrets: Vec::new(), dapr_ready: true, infrastructure_ready: true }
}

/// A cluster that serves every kind and has nothing of the platform.
fn empty(desired: &Desired) -> Live {
    let resources = desired.objects.iter().map(|object| (object.resource.kind.clone(), object.resource.clone()));
    Live { resources: resources.collect(), ..Live::default() }
}

/// The cluster after a plan was carried out, with what an API server adds.
fn carried_out(plan: &Plan, mut live: Live) -> Live {
    for step in &plan.steps {
        match &step.action {
            Action::Apply { body, .. } => {
                let mut object = (**body).clone();
                object.metadata.uid = Some(format!("uid of {}", step.key));
                object.metadata.resource_version = Some("1".to_owned());
                object.data["status"] = json!({"observedGeneration": 1});
                live.objects.insert(step.key.clone(), Arc::new(object));
            }
            Action::Create(body) => {
                let keys = body.data["data"].as_object().unwrap().keys().cloned().collect();
                live.secrets.insert(step.key.name.clone(), LiveSecret { metadata: body.metadata.clone(), keys });
            }
            Action::Relabel(_) => {}
        }
    }
    live
}

fn settled(desired: &Desired) -> Live {
    carried_out(&plan(desired, &empty(desired), &identity(), &open()), empty(desired))
}

fn change(live: &mut Live, kind: &str, name: &str, change: impl FnOnce(&mut DynamicObject)) {
    let key = Key { kind: kind.to_owned(), name: name.to_owned() };
    change(Arc::make_mut(live.objects.get_mut(&key).unwrap()));
}

fn written(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.key.to_string()).collect()
}

fn held(plan: &Plan) -> BTreeSet<&str> {
    plan.held.iter().map(|held| held.key.kind.as_str()).collect()
}

#[test]
fn an_empty_namespace_gets_everything_in_waves() {
    let desired = default();
    let plan = plan(&desired, &empty(&desired), &identity(), &open());
    assert_eq!(plan.steps.len(), desired.objects.len());
    assert!(plan.steps.is_sorted_by_key(|step| step.wave));
    assert!(plan.held.is_empty() && plan.foreign.is_empty() && plan.removals.is_empty());
}

#[test]
fn what_was_applied_is_not_applied_again() {
    let desired = default();
    let plan = plan(&desired, &settled(&desired), &identity(), &open());
    assert!(plan.is_empty(), "{:?}", written(&plan));
}

#[test]
fn fresh_random_values_are_no_reason_to_write() {
    let platform: TodoPlatform = serde_json::from_value(json!({
        "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
        "metadata": {"name": "todo", "namespace": "ns", "uid": "uid"}, "spec": {"auth": {"mode": "disabled"}},
    }))
    .unwrap();
    let live = settled(&default());
    let mut found = Found::default();
    // Digests of what is there, as the second pass reads them.
    let first = validate(&platform, &Settings::default(), &Found::default()).unwrap();
    found.digests = first.digests;
    found.generated.kafka_password = crate::resolve::Sensitive::new("another");
    found.generated.app_token = crate::resolve::Sensitive::new("another");
    let second = build::desired(&validate(&platform, &Settings::default(), &found).unwrap());
    let plan = plan(&second, &live, &identity(), &open());
    assert!(plan.is_empty(), "{:?}", written(&plan));
}

#[test]
fn what_somebody_changes_or_deletes_is_put_right_and_nothing_else_is_touched() {
    let desired = default();
    let mut live = settled(&desired);
    change(&mut live, "Deployment", "backend-service", |object| object.data["spec"]["replicas"] = json!(7));
    change(&mut live, "Component", "statestore", |object| object.metadata.labels = None);
    live.objects.remove(&Key { kind: "Service".to_owned(), name: "kafka".to_owned() });
    let plan = plan(&desired, &live, &identity(), &open());
    assert_eq!(written(&plan), ["Service/kafka", "Component/statestore", "Deployment/backend-service"]);
    let uids: Vec<bool> =
        plan.steps.iter().map(|step| matches!(&step.action, Action::Apply { present: Some(_), .. })).collect();
    assert_eq!(uids, [false, true, true], "what is there is written to by UID, what is not is looked at first");
}

#[test]
fn what_others_add_to_our_objects_is_left_alone() {
    let desired = default();
    let mut live = settled(&desired);
    for (kind, name) in [("Deployment", "backend-service"), ("StatefulSet", "kafka")] {
        change(&mut live, kind, name, |object| {
            let template = &mut object.data["spec"]["template"];
            template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now");
            template["metadata"]["labels"]["sidecar.istio.io/inject"] = json!("true");
            template["spec"]["containers"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": "istio-proxy", "image": "proxy"}));
            object.metadata.annotations.get_or_insert_default().insert("team".to_owned(), "a".to_owned());
        });
    }
    assert!(plan(&desired, &live, &identity(), &open()).is_empty());
}

#[test]
fn nothing_of_dapr_is_planned_before_its_kinds_exist_and_the_rest_is() {
    let desired = default();
    let mut live = empty(&desired);
    for kind in ["Component", "Configuration", "Resiliency"] {
        live.resources.remove(kind);
    }
    let gates = Gates { dapr_ready: false, ..open() };
    let plan = plan(&desired, &live, &identity(), &gates);
    assert_eq!(held(&plan), BTreeSet::from(["Component", "Configuration", "Deployment", "Resiliency"]));
    assert!(written(&plan).contains(&"StatefulSet/kafka".to_owned()));
}

fn missing(name: &str, used_by: &[&str]) -> Gates {
    let secret = SecretKey {
        name: name.to_owned(),
        key: "k".to_owned(),
        used_by: used_by.iter().map(|user| (*user).to_owned()).collect(),
        maker: Maker::User,
    };
    Gates { missing_secrets: vec![secret], ..open() }
}

#[test]
fn a_volume_claim_is_never_asked_for_less_than_it_has_or_for_another_class() {
    let with = |storage: &Value| {
        let spec = json!({"auth": {"mode": "disabled"}, "kafka": {"embedded": {"storage": storage}}});
        let desired = desired(&spec);
        let mut live = settled(&desired);
        change(&mut live, "PersistentVolumeClaim", "data-kafka-0", |object| {
            object.metadata.annotations = None;
            object.data["spec"]["storageClassName"] = json!("standard");
            object.data["spec"]["resources"]["requests"]["storage"] = json!("20Gi");
        });
        let plan = plan(&desired, &live, &identity(), &open());
        assert_eq!(written(&plan), ["PersistentVolumeClaim/data-kafka-0"]);
        let Action::Apply { body, .. } = &plan.steps[0].action else { panic!("an apply") };
        assert!(super::plan(&desired, &carried_out(&plan, live), &identity(), &open()).is_empty(), "{storage}");
        (
            body.data["spec"]["resources"]["requests"]["storage"].clone(),
            body.data["spec"].get("storageClassName").cloned(),
        )
    };
    assert_eq!(with(&json!({"size": "5Gi", "storageClassName": "fast"})), (json!("20Gi"), Some(json!("standard"))));
    assert_eq!(with(&json!({"size": "0.1Ti"})), (json!("0.1Ti"), None));
}

#[test]
fn who_may_reach_an_external_database_is_left_as_it_is_while_its_address_is_unknown() {
    let external = |port: u16| {
        let mut desired = desired(&json!({"auth": {"mode": "disabled"}, "postgres": {"external":
            {"connectionString": {"secretKeyRef": {"name": "db", "key": "url"}}}}}));
        let reaches_it = |object: &&mut Object| {
            object.resource.kind == "NetworkPolicy"
                && App::ALL.iter().any(|app| app.has_backing_services() && app.id() == object.name())
        };
        for object in desired.objects.iter_mut().filter(reaches_it) {
            object.body.data["spec"]["egress"] = json!([{"ports": [{"port": port, "protocol": "TCP"}]}]);
        }
        desired
    };
    let mut live = settled(&external(6432));
    let unknown = missing("db", &["statestore"]);
    assert_eq!(written(&plan(&external(5432), &live, &identity(), &unknown)), [""; 0]);
    assert!(!plan(&external(5432), &live, &identity(), &open()).is_empty());

    let edited = [App::Backend, App::Frontend];
    for app in edited {
        change(&mut live, "NetworkPolicy", app.id(), |object| object.data["spec"]["ingress"] = json!([]));
    }
    let written_with = |desired: &Desired, gates: &Gates| written(&plan(desired, &live, &identity(), gates));
    assert_eq!(written_with(&external(6432), &unknown), ["NetworkPolicy/frontend-service"], "it reaches no database");
    let mut others = unknown.clone();
    others.missing_secrets[0].maker = Maker::Other("CloudNativePG");
    let policies = edited.map(|app| format!("NetworkPolicy/{}", app.id()));
    assert_eq!(written_with(&external(6432), &others), policies, "the address of what others run is known without it");
}

#[test]
fn pods_are_not_restarted_because_a_secret_vanished() {
    let desired = default();
    let live = settled(&desired);
    let mut without = default();
    for object in &mut without.objects {
        // As if the digest of the Secret's value were gone.
        if let Some(hash) =
            object.body.data.pointer_mut("/spec/template/metadata/annotations/todoplatform.dev~1config-hash")
        {
            *hash = json!("another");
        }
    }
    let gates = missing("postgres-connection", &["statestore", App::Backend.id()]);
    assert!(plan(&without, &live, &identity(), &gates).is_empty());
    assert!(
        !plan(&without, &live, &identity(), &open()).is_empty(),
        "with the Secret there, a new value restarts them"
    );
}

#[test]
fn only_what_this_very_platform_owns_and_nobody_asks_for_is_removed_and_never_data() {
    let (with, without) = (
        desired(&json!({"auth": {"mode": "disabled"}, "deletionPolicy": "Delete"})),
        desired(&json!({"auth": {"mode": "disabled"}, "deletionPolicy": "Delete",
            "services": {"backend": {"replicas": 1}}})),
    );
    let mut live = settled(&with);
    for (name, owner) in [("mine", Some("uid")), ("of-another", Some("other")), ("nobodys", None)] {
        let mut object = (**live.get("ConfigMap", "kafka-config").unwrap()).clone();
        object.metadata.name = Some(name.to_owned());
        let owned = object.metadata.owner_references.take().map(|mut owners| {
            owners[0].uid = owner.unwrap_or_default().to_owned();
            owners
        });
        object.metadata.owner_references = owner.and(owned);
        live.objects.insert(Key { kind: "ConfigMap".to_owned(), name: name.to_owned() }, Arc::new(object));
    }
    let mut fewer = without.clone();
    fewer.objects.retain(|object| object.resource.kind != "PersistentVolumeClaim");
    let mut removed: Vec<String> =
        plan(&fewer, &live, &identity(), &open()).removals.iter().map(|removal| removal.key.to_string()).collect();
    removed.sort();
    assert_eq!(removed, ["ConfigMap/mine", "PodDisruptionBudget/backend-service"]);
}

#[test]
fn a_secret_of_somebody_else_is_used_as_it_is_and_ours_follows_the_deletion_policy() {
    let retain = default();
    let mut live = settled(&retain);
    live.secrets.get_mut("kafka-password").unwrap().metadata.labels = None;
    let delete = desired(&json!({"auth": {"mode": "disabled"}, "deletionPolicy": "Delete"}));
    let plan = plan(&delete, &live, &identity(), &open());
    let relabelled: Vec<String> = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::Relabel(_)))
        .map(|step| step.key.name.clone())
        .collect();
    assert_eq!(relabelled, ["kafka-username", "postgres-connection"]);
    assert!(!plan.steps.iter().any(|step| matches!(step.action, Action::Create(_))));
}

#[test]
fn the_owners_of_a_secret_are_replaced_only_if_they_are_still_those_that_were_read() {
    let mut live = settled(&default());
    let secret = live.secrets.get_mut("kafka-username").unwrap();
    secret.metadata.resource_version = Some("7".to_owned());
    let other = OwnerReference { kind: "Other".to_owned(), uid: "other".to_owned(), ..OwnerReference::default() };
    secret.metadata.owner_references = Some(vec![other]);
    let delete = desired(&json!({"auth": {"mode": "disabled"}, "deletionPolicy": "Delete"}));
    let plan = plan(&delete, &live, &identity(), &open());
    let patch = plan.steps.iter().find_map(|step| match &step.action {
        Action::Relabel(patch) if step.key.name == "kafka-username" => Some(patch),
        _ => None,
    });
    let metadata = &patch.unwrap()["metadata"];
    assert_eq!(metadata["resourceVersion"], "7");
    let owners: Vec<_> = metadata["ownerReferences"].as_array().unwrap().iter().map(|owner| &owner["kind"]).collect();
    assert_eq!(owners, ["Other", "TodoPlatform"]);
}

#[test]
fn all_objects_carry_the_label_that_the_watches_select_by() {
    for object in default().objects {
        let labels = object.body.metadata.labels.clone().unwrap_or_default();
        assert_eq!(labels.get("app.kubernetes.io/managed-by").map(String::as_str), Some(labels::MANAGED_BY));
    }
}
