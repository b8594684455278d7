//! What is not made yet.

use super::*;

/// As it is while somebody's finalizer is on it.
fn leave(live: &mut Live, kind: &str, name: &str) {
    change(live, kind, name, |object| {
        let time = json!("2026-01-01T00:00:00Z");
        object.metadata.deletion_timestamp = Some(serde_json::from_value(time).expect("a time"));
    });
}

fn remove(live: &mut Live, kind: &str, name: &str) {
    live.objects.remove(&Key { kind: kind.to_owned(), name: name.to_owned() });
}

#[test]
fn services_wait_for_dapr_secrets_and_infrastructure_but_what_exists_stays_managed() {
    let desired = default();
    for gates in [Gates { dapr_ready: false, ..open() }, Gates { infrastructure_ready: false, ..open() }] {
        let plan = plan(&desired, &empty(&desired), &identity(), &gates);
        assert_eq!(held(&plan), BTreeSet::from(["Deployment"]));
        let mut live = settled(&desired);
        change(&mut live, "Deployment", "backend-service", |object| object.data["spec"]["replicas"] = json!(7));
        let again = super::plan(&desired, &live, &identity(), &gates);
        assert_eq!(written(&again), ["Deployment/backend-service"]);
    }
}

#[test]
fn a_component_waits_for_its_own_secret_only() {
    let desired = default();
    let plan = plan(&desired, &empty(&desired), &identity(), &missing("kafka-password", &["kafka-pubsub"]));
    let waiting: Vec<String> =
        plan.held.iter().map(|held| held.key.to_string()).filter(|key| key.starts_with('C')).collect();
    assert_eq!(waiting, ["Component/kafka-pubsub"]);
    assert!(written(&plan).contains(&"Component/statestore".to_owned()));
    assert!(plan.held.iter().all(|held| held.reason.contains("Secret kafka-password key k")));
}

#[test]
fn services_are_not_made_before_what_their_sidecars_read_when_they_start() {
    let desired = default();
    let mut live = settled(&desired);
    live.objects.retain(|key, _| key.kind != "Deployment");
    leave(&mut live, "Component", "statestore");
    let plan = plan(&desired, &live, &identity(), &open());
    assert_eq!((written(&plan), held(&plan)), (Vec::new(), BTreeSet::from(["Component", "Deployment"])));
}

#[test]
fn a_foreign_object_is_reported_and_holds_up_what_comes_after_it() {
    let desired = default();
    let mut live = settled(&desired);
    change(&mut live, "PersistentVolumeClaim", "data-kafka-0", |object| {
        object.metadata.labels.get_or_insert_default().insert(platform_label(), "other".to_owned());
    });
    live.objects.remove(&Key { kind: "StatefulSet".to_owned(), name: "kafka".to_owned() });
    let plan = plan(&desired, &live, &identity(), &open());
    assert_eq!(plan.foreign.len(), 1);
    assert!(plan.foreign[0].message.contains("TodoPlatform other"), "{}", plan.foreign[0].message);
    assert_eq!((written(&plan), held(&plan)), (Vec::new(), BTreeSet::from(["StatefulSet"])));
}

#[test]
fn what_nothing_needs_is_reported_if_it_is_somebody_elses_and_holds_up_nothing() {
    let desired = desired(&json!({"auth": {"mode": "disabled"}, "monitoring": {"dashboard": {}}}));
    for (kind, name, hinders) in [
        ("PodDisruptionBudget", "backend-service", false),
        ("ConfigMap", names::DASHBOARD, false),
        ("ConfigMap", "kafka-config", true),
    ] {
        let mut live = settled(&desired);
        change(&mut live, kind, name, |object| {
            object.metadata.owner_references = None;
            object.metadata.labels.get_or_insert_default().insert(platform_label(), "other".to_owned());
        });
        remove(&mut live, "Deployment", "frontend-service");
        let plan = plan(&desired, &live, &identity(), &open());
        let foreign: Vec<bool> = plan.foreign.iter().map(Foreign::hinders).collect();
        assert_eq!(foreign, [hinders], "{kind}/{name}");
        let made = if hinders { &[][..] } else { &["Deployment/frontend-service"] };
        assert_eq!(written(&plan), made, "{kind}/{name}");
    }
}

#[test]
fn what_an_earlier_platform_of_this_name_still_owns_is_waited_for() {
    let desired = default();
    let mut live = settled(&desired);
    change(&mut live, "ConfigMap", "kafka-config", |object| {
        let earlier = OwnerReference {
            api_version: "todoplatform.dev/v1alpha1".to_owned(),
            kind: "TodoPlatform".to_owned(),
            name: "todo".to_owned(),
            uid: "earlier".to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        };
        object.metadata.owner_references = Some(vec![earlier]);
    });
    let plan = plan(&desired, &live, &identity(), &open());
    assert_eq!((written(&plan), held(&plan)), (Vec::new(), BTreeSet::from(["ConfigMap"])));
}

#[test]
fn a_secret_that_goes_with_an_earlier_platform_is_waited_for_before_anything_uses_it() {
    let desired = default();
    let mut live = empty(&desired);
    let mut earlier =
        desired.objects.iter().find(|object| object.name() == "todo-app-token").unwrap().body.metadata.clone();
    earlier.owner_references.as_mut().unwrap()[0].uid = "earlier".to_owned();
    live.secrets.insert("todo-app-token".to_owned(), LiveSecret { metadata: earlier, keys: BTreeSet::new() });
    let plan = plan(&desired, &live, &identity(), &open());
    assert!(plan.held.iter().any(|held| held.key.to_string() == "Secret/todo-app-token"));
    assert!(plan.steps.iter().all(|step| step.wave == Wave::Foundation), "{:?}", written(&plan));
}

#[test]
fn nothing_is_started_before_the_policies_and_accounts_that_bound_it_can_be_made() {
    for kind in ["NetworkPolicy", "ServiceAccount", "Role"] {
        let desired = default();
        let mut live = empty(&desired);
        live.resources.remove(kind);
        let plan = plan(&desired, &live, &identity(), &open());
        assert!(plan.steps.iter().all(|step| step.wave == Wave::Foundation), "{kind}: {:?}", written(&plan));
        assert!(plan.held.iter().any(|held| held.key.kind == kind && held.hold == Hold::Unwatched));
    }
}

#[test]
fn a_volume_that_goes_only_when_its_pod_does_holds_up_nothing_but_another_such_pod() {
    let desired = default();
    let mut live = settled(&desired);
    leave(&mut live, "PersistentVolumeClaim", "data-kafka-0");
    for (kind, name) in [
        ("Service", "frontend-service"),
        ("Component", "statestore"),
        ("Deployment", "backend-service"),
        ("StatefulSet", "kafka"),
        ("StatefulSet", "postgres"),
    ] {
        remove(&mut live, kind, name);
    }
    let plan = plan(&desired, &live, &identity(), &open());
    let made =
        ["StatefulSet/postgres", "Component/statestore", "Deployment/backend-service", "Service/frontend-service"];
    assert_eq!(written(&plan), made);
    assert_eq!(held(&plan), BTreeSet::from(["PersistentVolumeClaim", "StatefulSet"]));
}

#[test]
fn only_pods_that_read_something_else_than_those_that_run_read_anew() {
    let before = default();
    let mut live = settled(&before);
    leave(&mut live, "Component", "kafka-pubsub");
    change(&mut live, "Deployment", "frontend-service", |object| object.data["spec"]["replicas"] = json!(7));
    let after = desired(&json!({"auth": {"mode": "disabled"}, "kafka": {"consumerGroup": "another"}}));
    let plan = plan(&after, &live, &identity(), &open());
    assert_eq!(held(&plan), BTreeSet::from(["Component"]));
    let anew = |step: &&Step| matches!(step.action, Action::Apply { reads_anew: true, .. });
    let (anew, as_they_are): (Vec<_>, Vec<_>) = plan.steps.iter().partition(anew);
    assert!(anew.iter().any(|step| step.key.name == App::RecurringTask.id()), "{anew:?}");
    let as_they_are: Vec<_> = as_they_are.iter().map(|step| step.key.to_string()).collect();
    assert_eq!(as_they_are, ["Deployment/frontend-service"]);
}
