//! Who chooses the number of pods, before and after somebody changes their mind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn autoscaled() -> Desired {
    desired(&json!({"auth": {"mode": "disabled"},
        "services": {"backend": {"autoscaling": {"minReplicas": 2, "maxReplicas": 5}}}}))
}

fn scaler() -> Key {
    Key { kind: "HorizontalPodAutoscaler".to_owned(), name: "backend-service".to_owned() }
}

fn deployment() -> Key {
    Key { kind: "Deployment".to_owned(), name: "backend-service".to_owned() }
}

#[test]
fn an_autoscaler_takes_over_the_number_of_pods_as_it_is_and_gives_it_back_as_one_of_its_own() {
    let (fixed, auto) = (default(), autoscaled());
    let mut live = settled(&fixed);
    change(&mut live, "Deployment", "backend-service", |object| object.data["spec"]["replicas"] = json!(4));
    live.resources.extend(empty(&auto).resources);
    let plan_of = |live: &Live| plan(&auto, live, &identity(), &open());
    let first = plan_of(&live);
    let step = first.steps.iter().find(|step| step.key.kind == "Deployment").unwrap();
    assert_eq!(step.scaling(), Scaling::HandedOver(4));
    let mut live = carried_out(&first, live);
    change(&mut live, "Deployment", "backend-service", |object| object.data["spec"]["replicas"] = json!(5));
    assert!(plan_of(&live).is_empty(), "what the autoscaler chooses is no drift");
    let takes_over = |live: &Live| {
        let back = plan(&fixed, live, &identity(), &open());
        let step = back.steps.into_iter().find(|step| step.key.kind == "Deployment").unwrap();
        step.scaling() == Scaling::TakenOver
    };
    live.objects.remove(&scaler());
    assert!(takes_over(&live));
    let mut ours = settled(&fixed);
    change(&mut ours, "Deployment", "backend-service", |object| object.data["spec"]["replicas"] = json!(5));
    assert!(!takes_over(&ours), "that is drift");
}

#[test]
fn a_service_that_no_autoscaler_enlarges_as_it_has_no_pods_gets_the_fewest_that_it_may_have() {
    let auto = autoscaled();
    let handed_over = |live: &Live| {
        let plan = plan(&auto, live, &identity(), &open());
        let of_step = |step: &Step| (step.key.to_string(), step.scaling());
        plan.steps.iter().map(of_step).collect::<Vec<_>>()
    };
    let with = |live: &mut Live, replicas: i32| {
        change(live, "Deployment", "backend-service", |object| object.data["spec"]["replicas"] = json!(replicas));
    };
    let expected = [("Deployment/backend-service".to_owned(), Scaling::HandedOver(2))];
    let mut live = settled(&auto);
    with(&mut live, 0);
    assert_eq!(handed_over(&live), expected);
    let key = deployment();
    let slimmed = slim::slim(&live.objects[&key]).into();
    live.objects.insert(key.clone(), Arc::new(slimmed));
    live.verified.insert(key);
    assert_eq!(handed_over(&live), expected, "nothing but its own parts is compared again");
    with(&mut live, 1);
    assert_eq!(handed_over(&live), [], "an autoscaler enlarges it");

    for (replicas, expected) in [(0, 2), (1, 2), (3, 3), (9, 9)] {
        let mut live = settled(&default());
        live.resources.extend(empty(&auto).resources);
        with(&mut live, replicas);
        let steps = handed_over(&live);
        let deployment = steps.iter().find(|(key, _)| key.starts_with("Deployment/"));
        let scaling = deployment.map(|(_, scaling)| *scaling);
        assert_eq!(scaling, Some(Scaling::HandedOver(expected)), "{replicas} until now");
    }
}

#[test]
fn the_number_of_pods_is_not_taken_from_an_autoscaler_that_may_still_act() {
    let (fixed, auto) = (default(), autoscaled());
    let leaving = |object: &mut DynamicObject| {
        object.metadata.deletion_timestamp = Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
    };
    let of_another = |object: &mut DynamicObject| object.metadata.owner_references = None;
    let with = |touch: &dyn Fn(&mut Live)| {
        let mut live = settled(&auto);
        touch(&mut live);
        let plan = plan(&fixed, &live, &identity(), &open());
        let taken = |step: &Step| step.scaling() == Scaling::TakenOver;
        let steps: Vec<_> = plan.steps.iter().map(|step| (step.key.to_string(), taken(step))).collect();
        (steps, plan.removals.iter().map(|removal| removal.key.clone()).collect::<Vec<_>>())
    };
    let (still, taken) = (vec![], vec![(deployment().to_string(), true)]);
    assert_eq!(with(&|_| {}), (still.clone(), vec![scaler()]), "it goes first");
    assert_eq!(with(&|live| change(live, &scaler().kind, &scaler().name, leaving)), (still.clone(), vec![]));
    assert_eq!(with(&|live| drop(live.resources.remove(&scaler().kind))), (still, vec![]), "nobody knows of any");
    assert_eq!(with(&|live| drop(live.objects.remove(&scaler()))), (taken.clone(), vec![]), "it is gone");
    let theirs = with(&|live| change(live, &scaler().kind, &scaler().name, of_another));
    assert_eq!(theirs, (taken, vec![]), "what is not ours to take away is not waited for");
}

#[test]
fn what_else_changes_does_not_wait_for_an_autoscaler_to_go() {
    let changed = desired(&json!({"auth": {"mode": "disabled"},
        "services": {"backend": {"replicas": 3, "podAnnotations": {"team": "a"}}}}));
    let live = settled(&autoscaled());
    let first = plan(&changed, &live, &identity(), &open());
    let [step @ Step { action: Action::Apply { body, .. }, .. }] = first.steps.as_slice() else {
        panic!("{:?}", first.steps)
    };
    assert_eq!(step.scaling(), Scaling::Kept);
    assert_eq!(body.data.pointer("/spec/template/metadata/annotations/team"), Some(&json!("a")));
    assert_eq!(body.data.pointer("/spec/replicas"), None);

    let mut live = carried_out(&first, live);
    live.objects.remove(&scaler());
    let second = plan(&changed, &live, &identity(), &open());
    let [step @ Step { action: Action::Apply { body, .. }, .. }] = second.steps.as_slice() else {
        panic!("{:?}", second.steps)
    };
    assert_eq!(step.scaling(), Scaling::TakenOver);
    assert_eq!(body.data.pointer("/spec/replicas"), Some(&json!(3)));
    assert!(plan(&changed, &carried_out(&second, live), &identity(), &open()).is_empty());
}
