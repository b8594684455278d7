//! What is refused, and in which words.

use std::{fs, path::Path};

use todo_crds::platform::{RESERVED_ENV, RESERVED_ENV_LATER};
use todo_operator::{
    cli::{render::render, render_local::render_local},
    names::App,
    resolve::{KafkaMode, Scale},
};

use crate::{
    cel::{Case, Violation},
    support::{DEFAULT, objects, resolve, settings, violations},
};

/// The cases of which the operator says something, and what.
pub(crate) fn refusals() -> Vec<(Case, Violation)> {
    let all = Case::all().into_iter().map(|(_, case)| case);
    let with_words = |mut case: Case| case.operator.take().map(|violation| (case, violation));
    let refusals: Vec<_> = all.filter_map(with_words).collect();
    assert!(refusals.len() > 60, "only {}", refusals.len());
    refusals
}

#[test]
fn a_wrong_value_is_refused_with_its_field_and_what_to_write() {
    for (case, Violation { at, says }) in refusals() {
        let found = violations(&case.spec.to_string());
        assert_eq!(found.len(), 1, "{}: {found:?}", case.what);
        assert_eq!(found[0].path, at, "{}", case.what);
        assert!(found[0].message.contains(&says), "{}: {}", case.what, found[0].message);
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let found = violations("{version: 'a:b', auth: {mode: oidc}, reminders: {schedule: never}}");
    let paths: Vec<_> = found.iter().map(|violation| violation.path.as_str()).collect();
    assert_eq!(paths, ["spec.version", "spec.auth.mode", "spec.reminders.schedule"]);
}

#[test]
fn no_message_tells_the_value_of_a_secret() {
    let found = violations("{services: {backend: {env: [{name: PORT, value: hunter2}]}}}");
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn what_is_absent_is_the_specifications() {
    let platform = resolve(DEFAULT, "{}");
    assert_eq!(platform.version, "0.1.0");
    assert!(matches!(&platform.kafka.mode, KafkaMode::Embedded(storage) if storage.size.0 == "5Gi"));
    assert_eq!(platform.kafka.consumer_group, "todo-service-group");
    assert_eq!(platform.kafka.max_message_bytes, 1_048_576);
    assert_eq!(platform.kafka.consume_retry_interval, "100ms");
    assert_eq!(platform.kafka.partitions, 3);
    assert_eq!((platform.state_store.version.as_str(), platform.state_store.key_prefix.as_str()), ("v1", "none"));
    assert_eq!((platform.reminders.schedule.as_str(), platform.reminders.window_seconds), ("*/5 * * * *", 300));
    assert_eq!(platform.service(App::Backend).scale, Scale::Fixed(2));
    assert!(platform.retain_data && platform.ai.is_none() && platform.exposure.is_none());
}

#[test]
fn nothing_that_says_nothing_changes_anything() {
    let wordy =
        "{kafka: {embedded: {storage: {}, resources: {}}, topics: {}}, postgres: {embedded: {}}, stateStore: {},
        reminders: {}, auth: {}, dapr: {sidecarResources: {}}, services: {backend: {resources: {}}, frontend: {}},
        networkPolicy: {}, monitoring: {}, imagePullSecrets: []}";
    assert_eq!(objects(&resolve(DEFAULT, wordy)), objects(&resolve(DEFAULT, "{}")));
}

#[test]
fn every_variable_that_the_operator_sets_is_reserved() {
    let rich = "{ai: {apiKey: {secretKeyRef: {name: a, key: b}}, baseUrl: 'http://llm', model: m},
        reminders: {mode: Precise}, dapr: {tracing: {endpoint: 'http://c:4317'}}}";
    let made = objects(&resolve(DEFAULT, rich));
    for app in App::ALL {
        let template = &made[&format!("Deployment/{app}")]["spec"]["template"];
        for variable in template["spec"]["containers"][0]["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let mut reserved = RESERVED_ENV.iter().chain(&RESERVED_ENV_LATER);
            assert!(name == "RUST_LOG" || reserved.any(|reserved| *reserved == name), "{name}");
        }
    }
}

#[test]
fn every_sample_is_rendered() {
    let samples = Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("config/samples");
    let dir = std::env::temp_dir().join(format!("todo-samples-{}", std::process::id()));
    let mut count = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let file = entry.unwrap().path();
        let mut out = Vec::new();
        render(&file, None, &settings(), &mut out).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(String::from_utf8(out).unwrap().contains("name: backend-service"), "{}", file.display());
        render_local(&file, &dir, Path::new("page"), &settings())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        count += 1;
    }
    fs::remove_dir_all(&dir).unwrap();
    assert!(count >= 4, "only {count} samples");
}

#[test]
fn a_field_that_nobody_knows_is_refused_when_rendering() {
    let file = std::env::temp_dir().join(format!("todo-unknown-{}.yaml", std::process::id()));
    let text =
        DEFAULT.replace("spec: {}", "spec: {kafak: {embedded: {}}, services: {backend: {replica: 3}}, dapr: {}}");
    fs::write(&file, text).unwrap();
    let error = render(&file, None, &settings(), &mut Vec::new()).unwrap_err().to_string();
    fs::remove_file(&file).unwrap();
    assert!(error.contains("spec.kafak: is no field") && error.contains("spec.services.backend.replica:"), "{error}");
}
