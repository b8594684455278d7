//! What Prometheus and Grafana find.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::support::{DEFAULT, objects, resolve};

const ALL: &str =
    "{monitoring: {serviceMonitor: {interval: 1m, labels: {release: prometheus}}, prometheusRule: {}, dashboard: {}}}";
const ROOT: &str = env!("TODO_PLATFORM_CHECKOUT");

#[test]
fn prometheus_and_grafana_are_given_exactly_these_objects() {
    let mut made = objects(&resolve(DEFAULT, ALL));
    made.retain(|key, _| {
        key.ends_with("/todo-platform-dashboard")
            || key.ends_with("Monitor/todo-platform")
            || key.starts_with("PrometheusRule/")
    });
    // The dashboard is a file of its own.
    let files = made.get_mut("ConfigMap/todo-platform-dashboard").unwrap()["data"].as_object_mut().unwrap();
    let dashboard: Value = serde_json::from_str(files["todo-platform-todo.json"].as_str().unwrap()).unwrap();
    assert_eq!(dashboard["title"], "Todo platform in todo");
    assert_eq!(dashboard["templating"]["list"][1]["query"], "todo");
    files["todo-platform-todo.json"] = "…".into();
    insta::assert_snapshot!(serde_yaml::to_string(&made).unwrap());
}

#[test]
fn a_users_label_takes_no_place_of_the_operators() {
    let made = objects(&resolve(
        DEFAULT,
        "{monitoring: {prometheusRule: {labels: {app.kubernetes.io/managed-by: me, a: b}}}}",
    ));
    let labels = &made["PrometheusRule/todo-platform"]["metadata"]["labels"];
    assert_eq!((&labels["app.kubernetes.io/managed-by"], &labels["a"]), (&"todo-operator".into(), &"b".into()));
}

/// A delivery that is lost has been tried again eight times before: beside these its failure is hardly seen.
#[test]
fn the_share_of_deliveries_that_fail_is_that_of_those_that_have_ended() {
    let all = expressions();
    let (_, share) = all.iter().find(|(_, text)| text.contains("outcome=\"failed\"")).unwrap();
    let (failed, of) = share.split_once('/').unwrap();
    assert!(failed.contains("outcome=\"failed\"") && of.contains("outcome=~\"sent|failed\""), "{share}");
}

/// The operator shows the conditions of every platform of a namespace, also of those that it refuses.
#[test]
fn an_alert_on_a_condition_is_about_one_platform() {
    let made = objects(&resolve(DEFAULT, "{monitoring: {prometheusRule: {}}}"));
    let mut found = Vec::new();
    collect("", &made["PrometheusRule/todo-platform"], &mut found);
    found.retain(|(_, text)| text.contains("todo_operator_condition"));
    assert!(found.len() > 2, "{found:?}");
    for (_, text) in found {
        assert!(text.contains("{namespace=\"todo\", name=\"todo\","), "{text}");
    }
}

/// The expressions of alerts and panels, by file.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join("config/monitoring")).unwrap() {
        let file = entry.unwrap().path();
        // JSON is YAML.
        let content: Value = serde_yaml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        collect(&file.file_name().unwrap().to_string_lossy(), &content, &mut found);
    }
    assert!(found.len() > 30, "only {} expressions", found.len());
    found
}

fn collect(file: &str, content: &Value, found: &mut Vec<(String, String)>) {
    match content {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(|text| (file.to_owned(), text.to_owned())));
            fields.values().for_each(|below| collect(file, below, found));
        }
        Value::Array(list) => list.iter().for_each(|below| collect(file, below, found)),
        _ => {}
    }
}

/// What a file of alerts or a dashboard lacks would only be seen where it is used.
#[test]
fn brackets_of_every_expression_are_closed() {
    for (file, expression) in expressions() {
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            let count = |bracket: char| expression.matches(bracket).count();
            assert_eq!(count(open), count(close), "{file}: {expression}");
        }
    }
}

/// An alert on something that nobody measures would never be raised.
#[test]
fn every_expression_is_about_metrics_that_there_are() {
    let mut source = String::new();
    for folder in ["operator/src/runtime", "services"] {
        read_all(&Path::new(ROOT).join(folder), &mut source);
    }
    let mut names = BTreeSet::new();
    for (_, expression) in expressions() {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let is_metric = |word: &&str| {
            word.ends_with("_total")
                || word.ends_with("_seconds")
                || word.ends_with("_bucket")
                || word.starts_with("todo_operator_")
                || word.ends_with("_events")
        };
        names.extend(words.filter(is_metric).map(|word| word.trim_end_matches("_bucket").to_owned()));
    }
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(source.contains(&format!("\"{name}\"")), "nobody measures {name}");
    }
}

#[test]
fn all_that_the_operator_measures_is_in_its_dashboard() {
    let source = fs::read_to_string(Path::new(ROOT).join("operator/src/runtime/metrics.rs")).unwrap();
    let names: Vec<&str> = source.split('"').filter(|text| text.starts_with("todo_operator_")).collect();
    assert!(names.len() > 10, "{names:?}");
    let shown = expressions().into_iter().filter(|(file, _)| file == "operator-dashboard.json");
    let shown: String = shown.map(|(_, expression)| expression).collect();
    for name in names {
        assert!(shown.contains(name), "nobody sees {name}");
    }
}

fn read_all(folder: &Path, source: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            read_all(&path, source);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            source.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
