//! Rules of the schema that came after a release refuse only what is refused here, so that no platform that runs is lost.

use axum::http::uri::Authority;
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::core::cel::{Validator, compile_schema};
use serde_json::{Value, json};
use todo_crds::platform::crd;

use super::{affinity, check, checks::Checks, container, schedule};

/// Whether the rules of a field below the spec take a value.
fn rules_of(path: &str) -> impl Fn(&Value) -> bool + use<> {
    let schema = serde_json::to_value(crd()).unwrap();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let compiled = compile_schema(schema.pointer(&format!("{spec}/{path}")).unwrap());
    let validator = Validator::new();
    move |value| validator.validate_compiled(&compiled, value, None).is_ok()
}

/// In each field what can and cannot stand for a number there, alone and as a part of more.
fn schedules() -> Vec<String> {
    const NAMES: [&str; 5] = ["jan", "DEC", "sun", "Sat", "other"];
    let numbers = [0, 1, 6, 7, 12, 13, 23, 24, 31, 32, 59, 60, 70].iter().map(ToString::to_string);
    let values: Vec<String> = numbers.chain(NAMES.map(str::to_owned)).chain(["007".to_owned()]).collect();
    let mut schedules = Vec::new();
    for fields in [5, 6] {
        for (field, value) in (0..fields).flat_map(|field| values.iter().map(move |value| (field, value))) {
            for item in [
                value.clone(),
                format!("{value}-{value}"),
                format!("*/{value}"),
                format!("{value}/2,?"),
                format!("{value},"),
            ] {
                let mut parts = vec!["*"; fields];
                parts[field] = &item;
                schedules.push(parts.join(" "));
            }
        }
    }
    for schedule in
        ["@every 1s", "@every 1.5h30m", "@every 999ms", "@every 0s", "@daily", "@dayly", "1  *  *  *  *", "* *"]
    {
        schedules.push(schedule.to_owned());
    }
    schedules
}

#[test]
fn the_schema_takes_each_schedule_that_the_operator_takes_and_no_other() {
    let reminders = rules_of("reminders");
    let (mut taken, mut refused) = (0, 0);
    for schedule in schedules() {
        let checked = schedule::check(&schedule);
        assert_eq!(reminders(&json!({"schedule": schedule})), checked.is_ok(), "{schedule}: {checked:?}");
        *if checked.is_ok() { &mut taken } else { &mut refused } += 1;
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

/// What the schema does not compare, the operator does.
#[test]
fn a_range_that_ends_before_it_begins_is_refused_by_the_operator_alone() {
    assert!(rules_of("reminders")(&json!({"schedule": "30-10 * * * *"})));
    assert!(schedule::check("30-10 * * * *").is_err());
}

#[test]
fn the_schema_takes_each_key_that_the_operator_takes_and_no_other() {
    let takes = rules_of("ingress/properties/annotations");
    let parts = ["", "a", "A", "9", "-", ".", "_", "a-b", "a.b", "a_b", "a-", "-a", "a..b", "a.-b", "a-.b", "a b", "ä"]
        .map(str::to_owned);
    let parts: Vec<String> = parts.into_iter().chain([63, 64, 253, 254].map(|length| "a".repeat(length))).collect();
    let with_prefix = parts.iter().flat_map(|prefix| parts.iter().map(move |name| format!("{prefix}/{name}")));
    for key in parts.iter().cloned().chain(with_prefix) {
        assert_eq!(takes(&json!({key.clone(): "x"})), check::key(&key).is_ok(), "{key:?}");
    }
}

#[test]
fn the_schema_takes_each_host_that_the_operator_takes_and_no_other() {
    let takes = rules_of("ingress");
    let parts = ["", "a", "A", "9", "-a", "a-", "a_b", "255", "256", "007"].map(str::to_owned);
    let parts: Vec<String> = parts.into_iter().chain([63, 64].map(|length| "a".repeat(length))).collect();
    let of = |count: usize| parts.iter().map(move |part| vec![part.as_str(); count].join("."));
    let mixed = parts.iter().map(|part| format!("1.2.3.{part}"));
    let is_short = |host: &String| host.len() <= 253;
    for host in (1..=5).flat_map(of).chain(mixed).filter(is_short) {
        assert_eq!(takes(&json!({"host": host})), check::host(&host).is_ok(), "{host:?}");
    }
}

#[test]
fn the_schema_takes_each_name_of_the_page_that_the_operator_takes_and_no_other_and_both_take_what_the_frontend_reads() {
    let allows = rules_of("services/properties/frontend");
    // As `services/frontend/src/hosts.rs` reads an entry.
    let is_read = |entry: &str| {
        let name = entry.parse::<Authority>().map(|read| read.host().trim_end_matches('.').to_owned());
        entry == "*" || name.is_ok_and(|name| !name.is_empty() && !name.contains('*'))
    };
    let parts = [
        "a",
        "A9.b",
        "a:80",
        ".",
        "-",
        "*",
        "%",
        ":",
        "80",
        "@",
        "[",
        "]",
        "/",
        " ",
        "ä",
        "!$&'()+;=_~",
        "\"",
        "^",
        "\\",
    ];
    let of_two = parts.iter().flat_map(|first| parts.iter().map(move |second| format!("{first}{second}")));
    let entries = parts.iter().map(ToString::to_string).chain(of_two);
    let (mut taken, mut refused) = (0, 0);
    for entry in entries {
        let checked = check::allowed_hosts(&entry);
        for value in [entry.clone(), format!("a.example, {entry}"), format!(" ,{entry}\n,*")] {
            let frontend = json!({"env": [{"name": "ALLOWED_HOSTS", "value": value}]});
            assert_eq!(allows(&frontend), checked.is_ok(), "{value:?}: {checked:?}");
        }
        assert!(checked.is_ok() || !is_read(entry.trim()), "{entry:?} was read by every release: {checked:?}");
        *if checked.is_ok() { &mut taken } else { &mut refused } += 1;
    }
    assert!(taken > 50 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn the_schema_takes_each_collector_that_the_operator_takes_and_no_other() {
    let takes = rules_of("dapr/properties/tracing");
    let hosts = ["", "c", "10.0.0.1", "[fd00::1]", "u:p@c", "c/d", "c?d", "a b", "a,b", "c:"];
    let ports =
        ["", ":", ":0", ":04317", ":4317", ":65535", ":65536", ":4317/", ":4317//", ":4317/v1", ":4317#a", ":x"];
    for scheme in ["", "http://", "https://", "grpc://", "http:///"] {
        for url in hosts.iter().flat_map(|host| ports.iter().map(move |port| format!("{scheme}{host}{port}"))) {
            assert_eq!(takes(&json!({"endpoint": url})), check::collector(&url).is_ok(), "{url:?}");
        }
    }
}

#[test]
fn the_schema_takes_each_toleration_that_the_operator_takes_and_no_other() {
    let backend = rules_of("services/properties/backend");
    let (mut taken, mut refused) = (0, 0);
    let texts = |field: &str, values: &[&str]| {
        let given = values.iter().map(|value| json!({field: value}));
        std::iter::once(json!({})).chain(given).collect::<Vec<_>>()
    };
    let seconds = [json!({}), json!({"tolerationSeconds": 5})];
    for key in texts("key", &["", "a", "a..b/c", "example.com/a"]) {
        for operator in texts("operator", &["", "Exists", "Equal", "exists"]) {
            for value in texts("value", &["", "a"]) {
                for effect in texts("effect", &["", "NoSchedule", "PreferNoSchedule", "NoExecute", "NoRun"]) {
                    for seconds in &seconds {
                        let mut one = json!({});
                        for part in [&key, &operator, &value, &effect, seconds] {
                            one.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
                        }
                        let checked = check::toleration(&serde_json::from_value(one.clone()).unwrap());
                        assert_eq!(backend(&json!({"tolerations": [one]})), checked.is_ok(), "{one}: {checked:?}");
                        *if checked.is_ok() { &mut taken } else { &mut refused } += 1;
                    }
                }
            }
        }
    }
    assert!(taken > 50 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn the_schema_takes_each_resource_that_the_operator_takes_and_no_other() {
    let of = |list: &str| rules_of(&format!("kafka/properties/embedded/properties/resources/properties/{list}"));
    let lists = ["requests", "limits"].map(of);
    for name in [
        "cpu",
        "Cpu",
        "memory",
        "ephemeral-storage",
        "hugepages-2Mi",
        "gpu",
        "",
        "/",
        "a/",
        "/gpu",
        "nvidia.com/gpu",
        "a..b/gpu",
        "a/b/c",
        "A/gpu",
        "a/-gpu",
    ] {
        for takes in &lists {
            // As many bytes as a page has, where there is one.
            assert_eq!(takes(&json!({name: 2_097_152})), check::resource_name(name).is_ok(), "{name:?}");
        }
    }
}

#[test]
fn the_schema_takes_each_amount_that_the_operator_takes_and_no_other() {
    let allows = rules_of("kafka/properties/embedded");
    let (mut taken, mut refused) = (0, 0);
    let amounts = [None, Some("0"), Some("500m"), Some("1"), Some("1000m"), Some("2Mi"), Some("3Mi"), Some("4Mi")];
    for name in [
        "cpu",
        "memory",
        "ephemeral-storage",
        "hugepages-2Mi",
        "hugepages-2k",
        "hugepages-x",
        "hugepages-",
        "a.example/b",
    ] {
        for (request, limit) in amounts.iter().flat_map(|one| amounts.iter().map(move |other| (*one, *other))) {
            for beside in [json!({}), json!({"cpu": "1"}), json!({"ephemeral-storage": "1"})] {
                let mut resources = json!({"requests": {}, "limits": beside});
                for (list, amount) in [("requests", request), ("limits", limit)] {
                    if let Some(amount) = amount {
                        resources[list][name] = json!(amount);
                    }
                }
                let mut checks = Checks::default();
                let spec = serde_json::from_value(resources.clone()).unwrap();
                container::resources(&mut checks, "spec", Some(&spec), ResourceRequirements::default());
                let found = checks.done(()).err().unwrap_or_default();
                assert_eq!(allows(&json!({"resources": resources})), found.is_empty(), "{resources}: {found:?}");
                *if found.is_empty() { &mut taken } else { &mut refused } += 1;
            }
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn the_schema_takes_each_affinity_that_the_operator_takes_and_no_other() {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let backend = rules_of("services/properties/backend");
    let (mut taken, mut refused) = (0, 0);
    let mut agree = |affinity: Value| {
        let checked = affinity::check(&serde_json::from_value(affinity.clone()).unwrap());
        assert_eq!(backend(&json!({"affinity": affinity})), checked.is_ok(), "{affinity}: {checked:?}");
        *if checked.is_ok() { &mut taken } else { &mut refused } += 1;
    };
    for values in [json!(null), json!([]), json!(["1"]), json!(["1", "2"])] {
        for operator in ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] {
            for (list, key) in [("matchExpressions", "a"), ("matchFields", "a"), ("matchFields", "metadata.name")] {
                let is_of_labels = list == "matchExpressions";
                if !is_of_labels && !["In", "NotIn"].contains(&operator) {
                    continue; // No choice of the schema's.
                }
                let mut one = json!({"key": key, "operator": operator, "values": values});
                if values.is_null() {
                    one.as_object_mut().unwrap().remove("values");
                }
                let term = json!({list: [one]});
                agree(json!({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}));
                agree(json!({"nodeAffinity": {PREFERRED: [{"weight": 1, "preference": term}]}}));
                if !is_of_labels || ["Gt", "Lt"].contains(&operator) {
                    continue; // As above.
                }
                for (kind, selector) in ["podAffinity", "podAntiAffinity"]
                    .into_iter()
                    .flat_map(|kind| ["labelSelector", "namespaceSelector"].map(|selector| (kind, selector)))
                {
                    let term = json!({"topologyKey": "a", selector: term});
                    agree(json!({kind: {REQUIRED: [term]}}));
                    agree(json!({kind: {PREFERRED: [{"weight": 1, "podAffinityTerm": term}]}}));
                }
            }
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

#[test]
fn the_schema_takes_each_port_of_a_broker_that_the_operator_takes_and_no_other() {
    let takes = rules_of("kafka/properties/external");
    for port in [
        0, 1, 9, 10, 999, 9999, 10000, 59999, 60000, 64999, 65000, 65499, 65529, 65530, 65535, 65536, 70000, 99999,
        100_000,
    ] {
        let broker = format!("kafka:{port}");
        assert_eq!(takes(&json!({"brokers": [broker]})), check::broker(&broker).is_ok(), "{broker}");
    }
}
