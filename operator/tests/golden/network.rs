//! Who reaches whom.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use todo_operator::resolve::Settings;

use crate::support::{DEFAULT, EXTERNAL, objects, resolve, resolve_by, settings};

fn policy(source: &str, name: &str) -> Value {
    objects(&resolve(source, "{}"))[&format!("NetworkPolicy/{name}")]["spec"].clone()
}

/// `app` labels of the peers that are let in at `port`; `*` for everybody.
fn let_in(policy: &Value, port: u16) -> BTreeSet<String> {
    peers(&policy["ingress"], "from", port)
}

/// `app` labels of the peers that are reached at `port`; `*` for everywhere.
fn let_out(policy: &Value, port: u16) -> BTreeSet<String> {
    peers(&policy["egress"], "to", port)
}

fn peers(rules: &Value, direction: &str, port: u16) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rule in rules.as_array().into_iter().flatten() {
        if !rule["ports"].as_array().unwrap().iter().any(|p| p["port"] == port) {
            continue;
        }
        match rule[direction].as_array() {
            None => _ = found.insert("*".to_owned()),
            Some(list) => found.extend(list.iter().map(|peer| {
                let pod = peer["podSelector"]["matchLabels"]["app"].as_str();
                let namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str();
                let addresses = peer["ipBlock"]["cidr"].as_str();
                pod.or(namespace).or(addresses).unwrap().to_owned()
            })),
        }
    }
    found
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn sidecars_reach_exactly_those_whom_their_apps_invoke() {
    for (app, callers) in [
        ("backend-service", &["frontend-service"][..]),
        ("notification-service", &["backend-service", "frontend-service"]),
        ("recurring-task-service", &["backend-service"]),
        ("frontend-service", &[]),
    ] {
        assert_eq!(let_in(&policy(DEFAULT, app), 50002), set(callers), "{app}");
    }
    assert_eq!(let_out(&policy(DEFAULT, "frontend-service"), 50002), set(&["backend-service", "notification-service"]));
    assert_eq!(let_out(&policy(DEFAULT, "recurring-task-service"), 50002), set(&[]));
}

#[test]
fn the_page_is_for_everybody_and_nothing_else_is() {
    assert_eq!(let_in(&policy(DEFAULT, "frontend-service"), 8080), set(&["*"]));
    for (app, port) in [("backend-service", 8000), ("notification-service", 8001), ("recurring-task-service", 8002)] {
        assert_eq!(let_in(&policy(DEFAULT, app), port), set(&[]), "{app}");
    }
}

#[test]
fn embedded_data_is_for_the_services_that_use_it() {
    let users = ["backend-service", "notification-service", "recurring-task-service"];
    assert_eq!(let_in(&policy(DEFAULT, "postgres"), 5432), set(&users));
    let mut with_operator = set(&users);
    with_operator.insert("todo-operator".to_owned());
    assert_eq!(let_in(&policy(DEFAULT, "kafka"), 9092), with_operator);
    for embedded in ["kafka", "postgres"] {
        let policy = policy(DEFAULT, embedded);
        assert_eq!(policy["egress"], json!([]), "{embedded} reaches nothing");
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    }
}

#[test]
fn the_outside_is_reached_only_for_what_is_configured() {
    for port in [443, 9093, 5432, 4318] {
        assert_eq!(let_out(&policy(DEFAULT, "frontend-service"), port), set(&[]), "{port}");
        assert_eq!(let_out(&policy(EXTERNAL, "backend-service"), port), set(&["*"]), "{port}");
    }
    assert_eq!(let_out(&policy(DEFAULT, "backend-service"), 5432), set(&["postgres"]));
    assert_eq!(let_out(&policy(DEFAULT, "backend-service"), 9093), set(&[]));
}

#[test]
fn an_api_server_whose_addresses_are_known_is_reached_there_and_nothing_else_for_it() {
    let ranges = ["10.96.0.1/32", "fd00:10:96::1/128"];
    let settings = Settings { api_server: ranges.map(|range| range.parse().unwrap()).to_vec(), ..settings() };
    let policy = |app: &str, spec: &str| {
        objects(&resolve_by(&settings, DEFAULT, spec))[&format!("NetworkPolicy/{app}")]["spec"].clone()
    };
    for app in ["backend-service", "notification-service", "recurring-task-service"] {
        let before = self::policy(DEFAULT, app);
        for port in [443, 6443] {
            assert_eq!(let_out(&before, port), set(&["*"]), "{app} {port}");
            assert_eq!(let_out(&policy(app, "{}"), port), set(&ranges), "{app} {port}");
        }
    }
    for port in [443, 6443] {
        assert_eq!(let_out(&policy("frontend-service", "{}"), port), set(&[]), "{port}");
    }
    let webhooks = "{notifications: {webhooks: {ports: [443]}}}";
    assert!(let_out(&policy("notification-service", webhooks), 443).contains("*"), "webhooks are anywhere");
    assert_eq!(let_out(&policy("backend-service", webhooks), 443), set(&ranges));
}

#[test]
fn what_other_operators_run_is_reached_by_its_labels_and_by_those_who_use_it() {
    let made = objects(&resolve(DEFAULT, "{kafka: {strimzi: {}}, postgres: {cloudNativePg: {}}}"));
    let peers = |app: &str, port: u16| -> Vec<Value> {
        let policy = made[&format!("NetworkPolicy/{app}")]["spec"]["egress"].as_array().unwrap().clone();
        let rules =
            policy.into_iter().filter(|rule| rule["ports"].as_array().unwrap().iter().any(|p| p["port"] == port));
        rules.map(|rule| rule["to"].clone()).collect()
    };
    for app in ["backend-service", "notification-service", "recurring-task-service"] {
        let brokers = json!({"strimzi.io/cluster": "kafka", "strimzi.io/name": "kafka-kafka"});
        assert_eq!(peers(app, 9093), [json!([{"podSelector": {"matchLabels": brokers}}])]);
        let servers = json!({"cnpg.io/cluster": "postgres"});
        assert_eq!(peers(app, 5432), [json!([{"podSelector": {"matchLabels": servers}}])]);
    }
    assert!(peers("frontend-service", 9093).is_empty() && peers("frontend-service", 5432).is_empty());
    assert!(!made.contains_key("NetworkPolicy/kafka") && !made.contains_key("NetworkPolicy/postgres"));
    let listener = &made["Kafka/kafka"]["spec"]["kafka"]["listeners"][0];
    assert_eq!(listener["networkPolicyPeers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn channels_open_their_ports_for_the_notification_service_alone() {
    let spec = "{notifications: {email: {smtp: {host: mail, from: a@b.c}}, webhooks: {ports: [8443]}, \
                ntfy: {baseUrl: 'http://ntfy:2586'}}}";
    let policy =
        |app: &str, spec: &str| objects(&resolve(DEFAULT, spec))[&format!("NetworkPolicy/{app}")]["spec"].clone();
    for port in [587, 8443, 2586] {
        assert_eq!(let_out(&policy("notification-service", spec), port), set(&["*"]), "{port}");
        assert_eq!(let_out(&policy("notification-service", "{}"), port), set(&[]), "{port}");
        assert_eq!(let_out(&policy("backend-service", spec), port), set(&[]), "{port}");
    }
}

#[test]
fn the_operator_reaches_what_it_asks() {
    for app in ["backend-service", "notification-service", "recurring-task-service", "frontend-service"] {
        for port in [3501, 8081] {
            assert!(let_in(&policy(DEFAULT, app), port).contains("todo-operator"), "{app} {port}");
        }
    }
}

#[test]
fn without_network_policies_there_are_none() {
    let made = objects(&resolve(DEFAULT, "{networkPolicy: {enabled: false}}"));
    assert!(!made.keys().any(|key| key.starts_with("NetworkPolicy/")));
}
