//! What a service mesh is told by the pods, and what it does to them.

use serde_json::{Value, json};

use crate::support::{DEFAULT, pod_templates, resolve};

/// The same for all pods.
fn everywhere(added: &Value) -> String {
    let services =
        ["backend", "notification", "recurringTask", "frontend"].map(|name| (name.to_owned(), added.clone()));
    let services: serde_json::Map<String, Value> = services.into_iter().collect();
    json!({"kafka": {"embedded": added}, "postgres": {"embedded": added}, "services": services}).to_string()
}

#[test]
fn labels_and_annotations_of_a_user_are_on_all_pods_beside_those_of_the_operator() {
    let usual = pod_templates(&resolve(DEFAULT, "{}"));
    let (label, annotation) = ("sidecar.istio.io/inject", "traffic.sidecar.istio.io/excludeInboundPorts");
    let added = json!({"podLabels": {label: "true"}, "podAnnotations": {annotation: "3501,8081"}});
    let mut templates = pod_templates(&resolve(DEFAULT, &everywhere(&added)));
    assert_eq!(templates.len(), 6);
    for (key, template) in &mut templates {
        let of = |field: &mut Value, name: &str| field.as_object_mut().unwrap().remove(name);
        assert_eq!(of(&mut template["metadata"]["labels"], label), Some(json!("true")), "{key}");
        assert_eq!(of(&mut template["metadata"]["annotations"], annotation), Some(json!("3501,8081")), "{key}");
    }
    assert_eq!(templates, usual, "nothing else is changed, and no pod begins anew by the hash of what it reads");
}
