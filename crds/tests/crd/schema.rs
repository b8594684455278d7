use std::fs;

use serde_json::Value;
use todo_crds::platform::{condition, crd};

const FILE: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/crds/yaml/todoplatforms.todoplatform.dev.yaml");

/// The schema of the whole resource.
pub(crate) fn schema() -> Value {
    serde_json::to_value(crd()).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every property below spec and status, with its path.
pub(crate) fn properties(schema: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for root in ["spec", "status"] {
        collect(root, &schema["properties"][root], &mut found);
    }
    found
}

fn collect(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
    found.push((path.to_owned(), schema.clone()));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(&format!("{path}.{name}"), property, found);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            collect(&format!("{path}{suffix}"), &schema[key], found);
        }
    }
}

#[test]
fn the_generated_crd_is_current() {
    let yaml = serde_yaml::to_string(&crd()).unwrap();
    let file = fs::read_to_string(FILE).unwrap_or_default();
    assert!(yaml == file, "write it anew: cargo run -p todo-operator -- crd > {FILE}");
}

#[test]
fn users_know_it_by_these_names_and_columns() {
    let crd = serde_json::to_value(crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "todoplatforms.todoplatform.dev");
    assert_eq!(crd["spec"]["names"]["shortNames"], serde_json::json!(["todo"]));
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let version = &crd["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    assert!(version["subresources"]["status"].is_object());
    let columns: Vec<_> =
        version["additionalPrinterColumns"].as_array().unwrap().iter().map(|column| column["name"].as_str()).collect();
    assert_eq!(columns, ["Ready", "Reason", "Services", "URL", "Age"].map(Some));
}

/// Also what a `schema_with` makes required when nobody looks.
#[test]
fn only_what_makes_no_sense_without_is_required() {
    let required: Vec<String> = properties(&schema())
        .into_iter()
        .filter(|(path, _)| path.starts_with("spec") && !path.contains(".affinity"))
        .filter(|(path, _)| !path.ends_with("Ref") && !path.ends_with("[]"))
        .filter_map(|(path, property)| Some(format!("{path}: {}", property.get("required")?)))
        .filter(|line| !line.ends_with(r#": ["secretKeyRef"]"#) && !line.ends_with(r#".autoscaling: ["maxReplicas"]"#))
        .collect();
    assert_eq!(
        required,
        [
            r#"spec.ai: ["apiKey"]"#,
            r#"spec.dapr.tracing: ["endpoint"]"#,
            r#"spec.ingress: ["host"]"#,
            r#"spec.ingress.gateway: ["name"]"#,
            r#"spec.kafka.external: ["brokers"]"#,
            r#"spec.kafka.external.auth.mtls: ["certificate","key"]"#,
            r#"spec.kafka.external.auth.plain: ["password","username"]"#,
            r#"spec.kafka.external.auth.scram: ["password","username"]"#,
            r#"spec.notifications.email: ["smtp"]"#,
            r#"spec.notifications.email.smtp: ["from","host"]"#,
            r#"spec.notifications.ntfy: ["baseUrl"]"#,
            r#"spec.notifications.webPush: ["subject"]"#,
            r#"spec.postgres.external: ["connectionString"]"#,
        ]
    );
}

#[test]
fn no_field_names_another_namespace() {
    for (path, _) in properties(&schema()).into_iter().filter(|(path, _)| path.starts_with("spec")) {
        let theirs = path.contains("odAffinity") || path.contains("odAntiAffinity");
        assert!(theirs || !path.to_lowercase().contains("namespace"), "{path}");
    }
}

/// `kubectl apply` without `--server-side` writes the whole definition into an annotation of at most 256 KiB.
#[test]
fn the_definition_can_be_applied_by_kubectl() {
    assert!(serde_json::to_vec(&crd()).unwrap().len() < 256 * 1024);
}

#[test]
fn there_are_as_many_conditions_as_a_status_may_have() {
    let limit = schema()["properties"]["status"]["properties"]["conditions"]["maxItems"].as_u64().unwrap();
    assert!(u64::try_from(condition::ALL.len()).unwrap() <= limit);
}
