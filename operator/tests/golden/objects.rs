use std::{collections::BTreeSet, fs};

use serde_json::Value;
use todo_operator::{
    build::{self, Policy, Wave},
    cli::render::{document, render},
};

use crate::support::{DEFAULT, EXTERNAL, found, json, key, objects, platform, resolve, settings};

const RICH: &str = "
services:
  backend: {autoscaling: {minReplicas: 2, maxReplicas: 5}, env: [{name: EXTRA, value: x}]}
  frontend: {replicas: 3}
networkPolicy: {enabled: true}
deletionPolicy: Delete
";

const MANAGED: &str = "
kafka: {strimzi: {storage: {storageClassName: fast}}, topics: {partitions: 6}}
postgres: {cloudNativePg: {instances: 2}}
";

fn yaml(source: &str, spec: &str) -> String {
    build::desired(&resolve(source, spec)).objects.iter().map(|object| document(object).unwrap()).collect()
}

#[test]
fn an_empty_spec_gives_exactly_these_objects() {
    insta::assert_snapshot!(yaml(DEFAULT, "{}"));
}

#[test]
fn an_external_kafka_and_postgresql_give_exactly_these_objects() {
    insta::assert_snapshot!(yaml(EXTERNAL, "{}"));
}

/// What Strimzi and CloudNativePG are asked for, and the components that use it.
#[test]
fn strimzi_and_cloud_native_pg_are_asked_for_exactly_these_objects() {
    let asked = ["Cluster/", "Component/kafka-pubsub", "Component/statestore", "Kafka"];
    let mut made = objects(&resolve(DEFAULT, MANAGED));
    made.retain(|key, _| asked.iter().any(|asked| key.starts_with(asked)));
    insta::assert_snapshot!(serde_yaml::to_string(&made).unwrap());
}

#[test]
fn with_fewer_than_three_brokers_there_is_one_controller_and_one_copy() {
    for (brokers, controllers, copies, in_sync) in [(1, 1, 1, 1), (2, 1, 1, 1), (3, 3, 3, 2), (5, 3, 3, 2)] {
        let made = objects(&resolve(DEFAULT, &format!("{{kafka: {{strimzi: {{replicas: {brokers}}}}}}}")));
        assert_eq!(made["KafkaNodePool/broker"]["spec"]["replicas"], brokers);
        assert_eq!(made["KafkaNodePool/controller"]["spec"]["replicas"], controllers);
        assert_eq!(made["KafkaTopic/reminders"]["spec"]["replicas"], copies);
        let config = &made["Kafka/kafka"]["spec"]["kafka"]["config"];
        assert_eq!(config["offsets.topic.replication.factor"], copies);
        assert_eq!(config["min.insync.replicas"], in_sync);
    }
}

#[test]
fn the_same_platform_gives_the_same_objects() {
    for (source, spec) in [(DEFAULT, "{}"), (EXTERNAL, "{}"), (DEFAULT, RICH)] {
        assert_eq!(yaml(source, spec), yaml(source, spec));
    }
}

#[test]
fn no_object_is_made_twice() {
    let desired = build::desired(&resolve(DEFAULT, RICH));
    let keys: BTreeSet<_> = desired.objects.iter().map(key).collect();
    assert_eq!(keys.len(), desired.objects.len());
}

#[test]
fn objects_come_in_the_order_of_their_waves() {
    let waves: Vec<Wave> = build::desired(&resolve(DEFAULT, "{}")).objects.iter().map(|object| object.wave).collect();
    assert!(waves.is_sorted());
    assert_eq!(waves.first(), Some(&Wave::Foundation));
    assert_eq!(waves.last(), Some(&Wave::Workload));
}

#[test]
fn nothing_empty_is_ever_written() {
    for (source, spec) in [(DEFAULT, "{}"), (EXTERNAL, "{}"), (DEFAULT, RICH), (DEFAULT, MANAGED)] {
        for (key, object) in objects(&resolve(source, spec)) {
            assert_nothing_empty(&key, &object);
        }
    }
}

fn assert_nothing_empty(path: &str, value: &Value) {
    match value {
        Value::Null => panic!("{path} is null"),
        Value::String(text) => assert!(!text.is_empty(), "{path} is an empty text"),
        Value::Array(list) => {
            // A policy that lets nothing out has to say so: rules that it does not name are for others to add.
            assert!(!list.is_empty() || path.ends_with(".spec.egress"), "{path} is an empty list");
            // The name of the core group is empty, and so are settings of Strimzi's that say only that something is to be.
            for (index, item) in list.iter().enumerate().filter(|_| !path.ends_with(".apiGroups")) {
                assert_nothing_empty(&format!("{path}[{index}]"), item);
            }
        }
        Value::Object(map) => {
            assert!(!map.is_empty() || path.contains(".entityOperator."), "{path} is an empty map");
            for (name, item) in map {
                assert_nothing_empty(&format!("{path}.{name}"), item);
            }
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Kinds and names of what stays when the resource goes.
fn left_behind(spec: &str) -> Vec<String> {
    let owned = |object: &build::Object| object.body.metadata.owner_references.is_some();
    build::desired(&resolve(DEFAULT, spec)).objects.iter().filter(|object| !owned(object)).map(key).collect()
}

#[test]
fn with_retain_data_and_the_secrets_to_it_stay_and_nothing_else() {
    for spec in ["{}", "{deletionPolicy: Retain}"] {
        assert_eq!(
            left_behind(spec),
            [
                "Secret/kafka-password",
                "Secret/kafka-username",
                "Secret/postgres-connection",
                "PersistentVolumeClaim/data-kafka-0",
                "PersistentVolumeClaim/data-postgres-0",
            ]
        );
    }
}

#[test]
fn with_retain_what_other_operators_run_stays() {
    let kinds: BTreeSet<String> =
        left_behind(MANAGED).iter().filter_map(|key| key.split('/').next()).map(str::to_owned).collect();
    let expected = ["Cluster", "Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"].map(str::to_owned).into();
    assert_eq!(kinds, expected);
    for made in left_behind(MANAGED) {
        assert!(build::DATA_KINDS.contains(&made.split('/').next().unwrap()), "{made} could be pruned");
    }
}

#[test]
fn with_delete_nothing_stays() {
    assert_eq!(left_behind("{deletionPolicy: Delete}"), [""; 0]);
    assert_eq!(left_behind(&format!("{MANAGED}\ndeletionPolicy: Delete")), [""; 0]);
}

#[test]
fn what_is_retained_is_neither_pruned_nor_overwritten() {
    for object in build::desired(&resolve(DEFAULT, "{}")).objects {
        let is_secret = object.resource.kind == "Secret";
        assert_eq!(object.policy == Policy::CreateOnce, is_secret, "{}", key(&object));
        // Secrets are not watched, and so never pruned.
        let is_kept = is_secret || build::DATA_KINDS.contains(&object.resource.kind.as_str());
        assert!(is_kept || object.body.metadata.owner_references.is_some(), "{} could be pruned", key(&object));
    }
}

#[test]
fn everything_bears_the_label_of_its_platform() {
    for object in build::desired(&resolve(DEFAULT, RICH)).objects {
        let labels = json(&object)["metadata"]["labels"].clone();
        assert_eq!(labels["todoplatform.dev/platform"], "todo", "{}", key(&object));
        assert_eq!(labels["app.kubernetes.io/managed-by"], "todo-operator", "{}", key(&object));
    }
}

#[test]
fn an_autoscaler_owns_the_number_of_replicas() {
    let made = objects(&resolve(DEFAULT, RICH));
    assert!(made["Deployment/backend-service"]["spec"].get("replicas").is_none());
    assert_eq!(made["HorizontalPodAutoscaler/backend-service"]["spec"]["maxReplicas"], 5);
    assert_eq!(made["Deployment/frontend-service"]["spec"]["replicas"], 3);
}

#[test]
fn a_disruption_budget_is_made_where_there_are_two_pods() {
    let made = objects(&resolve(DEFAULT, "{}"));
    let budgets: Vec<_> = made.keys().filter(|key| key.starts_with("PodDisruptionBudget/")).collect();
    assert_eq!(budgets, ["PodDisruptionBudget/backend-service"]);
    let single = objects(&resolve(DEFAULT, "{services: {backend: {replicas: 1}}}"));
    assert!(!single.contains_key("PodDisruptionBudget/backend-service"));
}

#[test]
fn the_page_knows_the_host_that_it_is_reached_at_beside_those_that_a_user_names() {
    let hosts = |spec: &str| {
        let made = objects(&resolve(DEFAULT, spec));
        let environment = &made["Deployment/frontend-service"]["spec"]["template"]["spec"]["containers"][0]["env"];
        let found = environment.as_array().unwrap().iter().filter(|one| one["name"] == "ALLOWED_HOSTS");
        found.map(|one| one["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let named = "services: {frontend: {env: [{name: ALLOWED_HOSTS, value: a.example}]}}";
    assert_eq!(hosts("{}"), Vec::<String>::new());
    assert_eq!(hosts("{ingress: {host: todo.example.com}}"), ["todo.example.com"]);
    assert_eq!(hosts("{ingress: {host: todo.example.com, gateway: {name: main}}}"), ["todo.example.com"]);
    assert_eq!(hosts(&format!("{{{named}}}")), ["a.example"]);
    assert_eq!(hosts(&format!("{{{named}, ingress: {{host: todo.example.com}}}}")), ["a.example,todo.example.com"]);
}

#[test]
fn rendering_never_prints_the_value_of_a_secret() {
    let validated = todo_operator::resolve::validate(&platform(DEFAULT, "{}"), &settings(), &found()).unwrap();
    let text: String = build::desired(&validated).objects.iter().map(|object| document(object).unwrap()).collect();
    for value in ["kafka-pw", "postgres-pw", "token-pw"] {
        assert!(!text.contains(value), "{value}");
        assert!(!text.contains(&base64(value)), "{value} in base64");
    }
    assert!(text.contains("keys: connection-string, database, password, username"));
    assert!(!format!("{validated:?}").contains("postgres-pw"));
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_file_with_other_documents_is_rendered_and_one_without_a_platform_refused() {
    let dir = std::env::temp_dir().join(format!("todo-render-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("platform.yaml");
    fs::write(&file, format!("kind: Namespace\napiVersion: v1\nmetadata: {{name: x}}\n---\n{DEFAULT}")).unwrap();
    let mut out = Vec::new();
    render(&file, Some("elsewhere"), &settings(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("namespace: elsewhere") && !text.contains("namespace: todo\n"));

    fs::write(&file, "kind: Namespace\n").unwrap();
    let error = render(&file, None, &settings(), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("0 documents of kind TodoPlatform"), "{error}");
    for (platform, cure) in [
        (
            "apiVersion: v1\nkind: TodoPlatform\nmetadata: {name: todo}\nspec: {}\n",
            "apiVersion: todoplatform.dev/v1alpha1",
        ),
        ("apiVersion: todoplatform.dev/v1alpha1\nkind: TodoPlatform\nmetadata: {}\nspec: {}\n", "metadata.name"),
    ] {
        fs::write(&file, platform).unwrap();
        let error = render(&file, None, &settings(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains(cure), "{error}");
    }
    fs::remove_dir_all(&dir).unwrap();
}
