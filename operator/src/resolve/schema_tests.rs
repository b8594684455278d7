//! Rules of the schema that came after a release refuse only what is refused here, so that no platform that runs is lost.

use kube::core::cel::{Validator, compile_schema};
use serde_json::{Value, json};
use todo_crds::platform::crd;

use super::{check, schedule};

/// Whether the rules of a field below the spec take a value.
fn rules_of(path: &str) -> impl Fn(&Value) -> bool {
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
