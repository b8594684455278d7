//! The objects against the document that the system comes from. Where a value differs, the correction is named.

use serde_json::{Value, json};

use crate::support::{DEFAULT, EXTERNAL, objects, resolve};

/// The components as the specification has them, and what was corrected.
struct Expected {
    name: &'static str,
    type_: &'static str,
    /// Values that are the specification's.
    kept: &'static [(&'static str, &'static str)],
    /// References to Secrets that are the specification's.
    secrets: &'static [(&'static str, &'static str, &'static str)],
    /// What the specification has and real Dapr does not understand, with the reason.
    left_out: &'static [(&'static str, &'static str)],
    /// What takes its place, or has to be said, with the reason.
    corrected: &'static [(&'static str, &'static str, &'static str)],
    scopes: &'static [&'static str],
}

const BACKED: &[&str] = &["backend-service", "notification-service", "recurring-task-service"];

const COMPONENTS: [Expected; 4] = [
    Expected {
        name: "kafka-pubsub",
        type_: "pubsub.kafka",
        kept: &[
            ("brokers", "kafka:9092"),
            ("consumerGroup", "todo-service-group"),
            ("maxMessageBytes", "1048576"),
            ("consumeRetryInterval", "100ms"),
        ],
        secrets: &[("saslUsername", "kafka-username", "username"), ("saslPassword", "kafka-password", "password")],
        left_out: &[("authRequired", "a deprecated form of authType")],
        corrected: &[
            ("authType", "password", "takes the place of authRequired: \"true\""),
            ("saslMechanism", "SHA-256", "Dapr takes SCRAM-SHA-256 for PLAIN"),
            ("disableTls", "true", "Dapr speaks TLS unless told not to, and the brokers are plaintext"),
            ("initialOffset", "oldest", "Dapr's default loses events sent before the group first joins"),
        ],
        scopes: BACKED,
    },
    Expected {
        name: "statestore",
        type_: "state.postgresql",
        kept: &[("actorStateStore", "true"), ("concurrency", "first-write"), ("keyPrefix", "none")],
        secrets: &[("connectionString", "postgres-connection", "connection-string")],
        left_out: &[],
        corrected: &[],
        scopes: &["backend-service"],
    },
    Expected {
        name: "reminder-cron",
        type_: "bindings.cron",
        kept: &[("schedule", "*/5 * * * *")],
        secrets: &[],
        left_out: &[],
        corrected: &[("direction", "input", "else Dapr finds out by one OPTIONS call with little patience")],
        scopes: &["backend-service"],
    },
    Expected {
        name: "kubernetes-secrets",
        type_: "secretstores.kubernetes",
        kept: &[],
        secrets: &[],
        left_out: &[("namespace", "is not a setting of this component")],
        corrected: &[("defaultNamespace", "todo", "takes its place, with the platform's own namespace")],
        scopes: BACKED,
    },
];

fn item<'a>(component: &'a Value, name: &str) -> Option<&'a Value> {
    component["spec"]["metadata"].as_array().unwrap().iter().find(|item| item["name"] == name)
}

#[test]
fn components_are_the_specifications_with_these_corrections_and_nothing_else() {
    let made = objects(&resolve(DEFAULT, "{}"));
    let components = made.keys().filter(|key| key.starts_with("Component/")).count();
    assert_eq!(components, COMPONENTS.len());
    for expected in COMPONENTS {
        let name = expected.name;
        let component = &made[&format!("Component/{name}")];
        assert_eq!(component["apiVersion"], "dapr.io/v1alpha1");
        assert_eq!(component["spec"]["type"], expected.type_, "{name}");
        assert_eq!(component["spec"]["version"], "v1", "{name}");
        assert_eq!(component["scopes"], json!(expected.scopes), "{name}");
        let values = expected.kept.iter().copied().chain(expected.corrected.iter().map(|(k, v, _)| (*k, *v)));
        for (key, value) in values {
            assert_eq!(item(component, key), Some(&json!({"name": key, "value": value})), "{name}");
        }
        for (key, secret, secret_key) in expected.secrets {
            let reference = json!({"name": key, "secretKeyRef": {"name": secret, "key": secret_key}});
            assert_eq!(item(component, key), Some(&reference), "{name}");
        }
        for (key, why) in expected.left_out {
            assert_eq!(item(component, key), None, "{name}: {why}");
        }
        let settings = expected.kept.len() + expected.corrected.len() + expected.secrets.len();
        assert_eq!(component["spec"]["metadata"].as_array().unwrap().len(), settings, "{name} has other settings");
    }
}

#[test]
fn an_external_kafka_is_reached_as_it_asks() {
    let made = objects(&resolve(EXTERNAL, "{}"));
    let pubsub = &made["Component/kafka-pubsub"];
    for (name, value) in [
        ("brokers", "broker-0.example.com:9093,broker-1.example.com:9093"),
        ("authType", "password"),
        ("saslMechanism", "SHA-512"),
        ("consumerGroup", "my-group"),
    ] {
        assert_eq!(item(pubsub, name), Some(&json!({"name": name, "value": value})));
    }
    assert_eq!(item(pubsub, "disableTls"), None);
    let ca = json!({"name": "caCert", "secretKeyRef": {"name": "kafka-ca", "key": "ca.crt"}});
    assert_eq!(item(pubsub, "caCert"), Some(&ca));
    assert!(!made.keys().any(|key| key.contains("kafka") && key.starts_with("StatefulSet/")));
}

#[test]
fn every_way_of_signing_in_has_daprs_name_for_it() {
    let plain = "plain: {username: {secretKeyRef: {name: u, key: k}}, password: {secretKeyRef: {name: p, key: k}}}";
    let mtls = "mtls: {certificate: {secretKeyRef: {name: c, key: k}}, key: {secretKeyRef: {name: c, key: p}}}";
    let ca = "tls: {caCertificate: {secretKeyRef: {name: c, key: a}}}";
    for (auth, auth_type, mechanism) in [
        (String::new(), "none", None),
        // With `none` Dapr would leave out TLS, too.
        ("tls: {}".to_owned(), "None", None),
        (format!("auth: {{{plain}}}"), "password", Some("PLAINTEXT")),
        (format!("auth: {{{mtls}}}, {ca}"), "mtls", None),
    ] {
        let spec = format!("{{kafka: {{external: {{brokers: ['kafka:9092'], {auth}}}}}}}");
        let made = objects(&resolve(DEFAULT, &spec));
        let pubsub = &made["Component/kafka-pubsub"];
        assert_eq!(item(pubsub, "authType").unwrap()["value"], auth_type, "{spec}");
        assert_eq!(item(pubsub, "saslMechanism").map(|item| item["value"].as_str().unwrap()), mechanism, "{spec}");
    }
}

#[test]
fn each_version_of_the_state_store_has_a_table_of_its_own() {
    for (version, prefix) in [("v1", None), ("v2", Some("v2_"))] {
        let made = objects(&resolve(DEFAULT, &format!("{{stateStore: {{version: {version}}}}}")));
        let store = &made["Component/statestore"];
        assert_eq!(store["spec"]["version"], version);
        assert_eq!(item(store, "tablePrefix").map(|item| item["value"].as_str().unwrap()), prefix, "{version}");
    }
}

#[test]
fn the_backend_is_deployed_as_the_specification_says() {
    let made = objects(&resolve(DEFAULT, "{}"));
    let deployment = &made["Deployment/backend-service"];
    assert_eq!(deployment["metadata"]["labels"]["app"], "backend-service");
    assert_eq!(deployment["spec"]["replicas"], 2);
    let template = &deployment["spec"]["template"];
    for (name, value) in [
        ("enabled", "true"),
        ("app-id", "backend-service"),
        ("app-port", "8000"),
        ("app-protocol", "http"),
        ("app-max-concurrency", "10"),
        ("enable-api-logging", "true"),
    ] {
        assert_eq!(template["metadata"]["annotations"][format!("dapr.io/{name}")], value);
    }
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["name"], "backend");
    assert_eq!(container["ports"][0]["containerPort"], 8000);
    let environment = container["env"].as_array().unwrap();
    for (name, value) in
        [("DAPR_HTTP_ENDPOINT", "http://localhost:3500"), ("DAPR_GRPC_ENDPOINT", "http://localhost:50001")]
    {
        assert!(environment.contains(&json!({"name": name, "value": value})), "{name}");
    }
}

#[test]
fn services_are_the_specifications_and_the_two_that_it_forgot() {
    let made = objects(&resolve(DEFAULT, "{}"));
    for (app, port, replicas) in [
        ("backend-service", 8000, 2),
        ("notification-service", 8001, 1),
        ("recurring-task-service", 8002, 1),
        ("frontend-service", 8080, 1),
    ] {
        let service = &made[&format!("Service/{app}")];
        assert_eq!(
            service["spec"],
            json!({
                "type": "ClusterIP",
                "selector": {"app": app},
                "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": port}],
            })
        );
        let deployment = &made[&format!("Deployment/{app}")];
        assert_eq!(deployment["spec"]["replicas"], replicas);
        let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations["dapr.io/app-id"], app);
        assert_eq!(annotations["dapr.io/app-port"], port.to_string());
        assert_eq!(annotations["dapr.io/config"], "todo-platform");
        assert_eq!(annotations["dapr.io/disable-builtin-k8s-secret-store"], "true");
        assert_eq!(annotations["dapr.io/sidecar-seccomp-profile-type"], "RuntimeDefault");
    }
}

#[test]
fn access_control_and_secret_scopes_deny_by_default() {
    let made = objects(&resolve(EXTERNAL, "{}"));
    let spec = &made["Configuration/todo-platform"]["spec"];
    assert_eq!(spec["accessControl"]["defaultAction"], "deny");
    let allowed: Vec<(&str, Vec<&str>)> = spec["accessControl"]["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| {
            assert_eq!((&policy["defaultAction"], &policy["namespace"]), (&json!("deny"), &json!("todo")));
            assert_eq!(policy["trustDomain"], "public");
            let operations = policy["operations"].as_array().unwrap();
            (policy["appId"].as_str().unwrap(), operations.iter().map(|o| o["name"].as_str().unwrap()).collect())
        })
        .collect();
    assert_eq!(
        allowed,
        [
            ("backend-service", vec!["/process-completion", "/send-notification"]),
            ("frontend-service", vec!["/api/**", "/mcp"]),
        ]
    );
    assert_eq!(
        spec["secrets"]["scopes"],
        json!([
            {
                "storeName": "kubernetes-secrets",
                "defaultAccess": "deny",
                "allowedSecrets": ["my-database", "openai-api-key"],
            },
            {"storeName": "kubernetes", "defaultAccess": "deny"},
        ])
    );
}

#[test]
fn an_account_may_get_the_secrets_that_its_service_reads_and_no_others() {
    let made = objects(&resolve(EXTERNAL, "{}"));
    for (app, secrets) in [
        ("backend-service", json!(["my-database", "openai-api-key"])),
        ("notification-service", json!(["my-database"])),
        ("recurring-task-service", json!(["my-database"])),
    ] {
        assert_eq!(
            made[&format!("Role/{app}")]["rules"],
            json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": secrets, "verbs": ["get"]}])
        );
        assert_eq!(made[&format!("RoleBinding/{app}")]["subjects"][0]["name"], app);
    }
    assert!(!made.contains_key("Role/frontend-service"));
    assert!(made.contains_key("ServiceAccount/frontend-service"));
}
