//! Volumes that other operators make, which are larger than asked for.

use super::*;

/// What an object is asked to be whose volume was made larger and of another class, by an earlier platform or by hand. It is
/// the same where the object was found to be in order, and most of it is forgotten.
fn asked_of_a_larger_volume(spec: &Value, kind: &str, name: &str, set: impl Fn(&mut Value)) -> Value {
    let desired = desired(spec);
    let mut live = settled(&desired);
    change(&mut live, kind, name, |object| {
        object.metadata.annotations = None;
        set(&mut object.data["spec"]["storage"]);
    });
    let mut slimmed = live.clone();
    change(&mut slimmed, kind, name, |object| *object = slim::slim(object).into());
    let asked = [live, slimmed].map(|live| {
        let plan = plan(&desired, &live, &identity(), &open());
        assert_eq!(written(&plan), [format!("{kind}/{name}")]);
        let Action::Apply { body, .. } = &plan.steps[0].action else { panic!("an apply") };
        let body = body.data["spec"]["storage"].clone();
        assert!(super::plan(&desired, &carried_out(&plan, live), &identity(), &open()).is_empty(), "{spec}");
        body
    });
    assert_eq!(asked[0], asked[1], "what is forgotten is not what is kept");
    asked[0].clone()
}

#[test]
fn a_cluster_of_cloud_native_pg_is_never_asked_for_less_than_it_has() {
    let asked = |size: &str| {
        let postgres = json!({"cloudNativePg": {"storage": {"size": size, "storageClassName": "fast"}}});
        let spec = json!({"auth": {"mode": "disabled"}, "postgres": postgres});
        asked_of_a_larger_volume(&spec, "Cluster", "postgres", |storage| storage["size"] = json!("40Gi"))
    };
    assert_eq!(asked("20Gi"), json!({"size": "40Gi", "storageClass": "fast"}));
    assert_eq!(asked("0.1Ti"), json!({"size": "0.1Ti", "storageClass": "fast"}));
}

#[test]
fn a_pool_of_strimzi_is_never_asked_for_less_than_it_has_or_for_another_class() {
    let asked = |storage: &Value, class: &Value| {
        let spec = json!({"auth": {"mode": "disabled"}, "kafka": {"strimzi": {"storage": storage}}});
        let asked = asked_of_a_larger_volume(&spec, "KafkaNodePool", "broker", |storage| {
            storage["volumes"][0]["size"] = json!("40Gi");
            let volume = storage["volumes"][0].as_object_mut().unwrap();
            volume.remove("class");
            volume.extend(class.as_str().map(|class| ("class".to_owned(), json!(class))));
        });
        let volume = &asked["volumes"][0];
        assert_eq!((&volume["id"], &volume["deleteClaim"]), (&json!(0), &json!(false)), "{volume}");
        (volume["size"].clone(), volume.get("class").cloned())
    };
    let smaller = json!({"size": "20Gi", "storageClassName": "fast"});
    assert_eq!(asked(&smaller, &json!("standard")), (json!("40Gi"), Some(json!("standard"))));
    assert_eq!(asked(&smaller, &Value::Null), (json!("40Gi"), None));
    assert_eq!(asked(&json!({"size": "0.1Ti"}), &json!("standard")), (json!("0.1Ti"), Some(json!("standard"))));
}

#[test]
fn a_volume_whose_class_is_named_is_written_once() {
    let storage = json!({"storageClassName": "fast"});
    for spec in [
        json!({"auth": {"mode": "disabled"}, "kafka": {"embedded": {"storage": storage}}}),
        json!({"auth": {"mode": "disabled"}, "kafka": {"strimzi": {"storage": storage}},
            "postgres": {"cloudNativePg": {"storage": storage}}}),
    ] {
        let desired = desired(&spec);
        let plan = plan(&desired, &settled(&desired), &identity(), &open());
        assert!(plan.is_empty(), "{:?}", written(&plan));
    }
}
