//! What `diff` prints: one entry for each object about which something is to be said. Pure.

use std::{fmt::Write as _, process::ExitCode};

use clap::builder::styling::AnsiColor;
use k8s_openapi::{api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{
    changes::{self, Change},
    tree::{Paint, Tree},
};
use crate::{
    dereference::MissingSecret,
    plan::{Plan, Scaling},
    resolve::Settings,
};

/// Something would change.
const CHANGES: u8 = 1;
/// The operator's container, as the chart names it.
const CONTAINER: &str = "operator";
/// It cannot be told what would change.
pub(super) const ERROR: u8 = 2;

/// An object and what would become of it.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Kind and name.
    pub(super) key: String,
    /// What would become of it.
    pub(super) what: What,
}

/// What would become of an object.
#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// It would be made; with what is to be said about it.
    Created(Option<String>),
    /// Fields of it would change.
    Changed(Change),
    /// It would be deleted.
    Removed,
    /// Nothing until something else is so.
    Held(String),
    /// The API server would refuse it.
    Refused(String),
    /// It is as it should be.
    Same,
}

impl What {
    /// From a comparison.
    pub(super) fn of_change(change: Option<Change>) -> Self {
        change.map_or(Self::Same, Self::Changed)
    }
}

impl Entry {
    fn tree(&self, paint: Paint) -> Option<Tree> {
        let line = |colour, sign: &str, words: String| paint.paint(colour, &format!("{sign} {}{words}", self.key));
        Some(match &self.what {
            What::Same => return None,
            What::Created(said) => {
                let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
                Tree::leaf(line(AnsiColor::Green, "+", said))
            }
            What::Removed => Tree::leaf(line(AnsiColor::Red, "-", String::new())),
            What::Changed(change) => {
                let anew = if change.touches(&["spec", "template"]) { " (its pods start anew)" } else { "" };
                Tree::new(line(AnsiColor::Yellow, "~", anew.to_owned()), change.trees(paint))
            }
            What::Held(reason) => Tree::leaf(line(AnsiColor::Cyan, "…", format!(": {reason}"))),
            What::Refused(said) => Tree::leaf(line(AnsiColor::Red, "✘", format!(": refused: {said}"))),
        })
    }
}

/// What is printed and the exit code. A single `-` says that there is nothing.
pub(super) fn report(entries: &[Entry], paint: Paint) -> (String, ExitCode) {
    let mut text = String::new();
    for tree in entries.iter().filter_map(|entry| entry.tree(paint)) {
        // Writing to a text cannot fail.
        let _ = write!(text, "{tree}");
    }
    if text.is_empty() {
        text.push_str("-\n");
    }
    (text, ExitCode::from(code(entries)))
}

fn code(entries: &[Entry]) -> u8 {
    let code = |entry: &Entry| match entry.what {
        What::Same | What::Held(_) => 0,
        What::Created(_) | What::Changed(_) | What::Removed => CHANGES,
        What::Refused(_) => ERROR,
    };
    entries.iter().map(code).max().unwrap_or_default()
}

/// What a plan has beside its steps.
pub(super) fn without_a_step(plan: &Plan) -> Vec<Entry> {
    let held = plan.held.iter().map(|held| (&held.key, not_yet(&held.reason)));
    let foreign = plan.foreign.iter().map(|one| (&one.key, left_alone(&one.message)));
    let removed = plan.removals.iter().map(|removal| (&removal.key, What::Removed));
    held.chain(foreign).chain(removed).map(|(key, what)| Entry { key: key.to_string(), what }).collect()
}

/// It waits for something.
pub(super) fn not_yet(reason: &str) -> What {
    What::Held(format!("not made yet: {reason}"))
}

/// It is somebody else's.
pub(super) fn left_alone(message: &str) -> What {
    What::Held(format!("left alone: {message}"))
}

/// What is needed and is not there.
pub(super) fn missing(missing: &MissingSecret) -> Entry {
    let secret = &missing.secret;
    let users: Vec<&str> = secret.used_by.iter().map(String::as_str).collect();
    let reason = format!("key {} is missing, and needed by {}", secret.key, users.join(", "));
    Entry { key: format!("Secret/{}", secret.name), what: What::Held(reason) }
}

/// A Deployment whose number of pods the operator leaves as it is for an autoscaler, before it applies it without one.
pub(super) fn handed_over(mut after: DynamicObject, scaling: Scaling) -> DynamicObject {
    if let (Scaling::HandedOver(replicas), Some(number)) = (scaling, after.data.pointer_mut("/spec/replicas")) {
        *number = replicas.into();
    }
    after
}

/// The keys of a Secret, without their values.
pub(super) fn keys(secret: &DynamicObject) -> String {
    let keys = secret.data.get("data").and_then(Value::as_object);
    let keys: Vec<&str> = keys.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    format!("with keys {}", keys.join(", "))
}

/// What a merge patch changes in the labels and owners of a Secret.
pub(super) fn relabelling(metadata: &ObjectMeta, patch: &Value) -> Option<Change> {
    let before = ObjectMeta {
        labels: metadata.labels.clone(),
        owner_references: metadata.owner_references.clone(),
        ..ObjectMeta::default()
    };
    // Our own patch always has the form of metadata.
    let wanted: ObjectMeta = serde_json::from_value(patch["metadata"].clone()).unwrap_or_default();
    let mut labels = before.labels.clone().unwrap_or_default();
    labels.extend(wanted.labels.unwrap_or_default());
    let after = ObjectMeta { labels: Some(labels), owner_references: wanted.owner_references, ..ObjectMeta::default() };
    let object = |metadata| DynamicObject { types: None, metadata, data: json!({}) };
    changes::between(&object(before), &object(after))
}

/// The settings that an operator's Deployment starts it with.
pub(super) fn settings_of(operator: &Deployment) -> Settings {
    let mut settings = Settings::default();
    let pod = operator.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.iter().find(|container| container.name == CONTAINER));
    // The chart leaves the version out for an image with a tag of its own: the operator in there knows what it is.
    if let Some(version) = container.and_then(|container| version(container.image.as_deref()?)) {
        version.clone_into(&mut settings.operator_version);
    }
    let variables =
        pod.into_iter().flat_map(|pod| &pod.containers).flat_map(|container| container.env.iter().flatten());
    for variable in variables {
        let Some(value) = variable.value.as_deref() else { continue };
        let setting = match variable.name.as_str() {
            "IMAGE_REGISTRY" => &mut settings.image_registry,
            "OPERATOR_VERSION" => &mut settings.operator_version,
            "KAFKA_IMAGE" => &mut settings.kafka_image,
            "POSTGRES_IMAGE" => &mut settings.postgres_image,
            "OPERATOR_NAMESPACE" => &mut settings.operator_namespace,
            "DAPR_NAMESPACE" => &mut settings.dapr_namespace,
            "MONITORING_NAMESPACE" => &mut settings.monitoring_namespace,
            "API_SERVER_CIDRS" => {
                // One that is none has kept that operator from starting.
                settings.api_server = value.split(',').filter_map(|range| range.parse().ok()).collect();
                continue;
            }
            _ => continue,
        };
        value.trim_end_matches('/').clone_into(setting);
    }
    settings
}

/// Tag of an image if it is a version. What is in an image of another tag, nobody can tell from outside.
fn version(image: &str) -> Option<&str> {
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    let numbers: Vec<&str> = tag.split('-').next()?.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (numbers.len() == 3 && numbers.iter().all(is_number)).then_some(tag)
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;
    use crate::{
        cli::run::SettingsArgs,
        resolve::{Maker, SecretKey},
    };

    fn entry(what: What) -> Entry {
        Entry { key: "Deployment/a".to_owned(), what }
    }

    fn restarting() -> Change {
        let object = |image: &str| -> DynamicObject {
            let template = json!({"spec": {"containers": [{"name": "app", "image": image}]}});
            serde_json::from_value(json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": template},
            }))
            .unwrap()
        };
        changes::between(&object("x:1"), &object("x:2")).unwrap()
    }

    #[test]
    fn every_entry_has_a_sign_and_the_worst_one_gives_the_exit_code() {
        for (what, text, expected) in [
            (What::Same, "-\n", 0),
            (What::Held("no Secret".to_owned()), "… Deployment/a: no Secret\n", 0),
            (What::Created(None), "+ Deployment/a\n", 1),
            (What::Removed, "- Deployment/a\n", 1),
            (
                What::Changed(restarting()),
                "~ Deployment/a (its pods start anew)\n└─ ~ spec.template.spec.containers[app].image: \"x:1\" → \"x:2\"\n",
                1,
            ),
            (What::Refused("no".to_owned()), "✘ Deployment/a: refused: no\n", 2),
        ] {
            let entries = [entry(What::Same), entry(what)];
            assert_eq!((report(&entries, Paint::PLAIN).0.as_str(), code(&entries)), (text, expected));
        }
        assert_eq!(code(&[entry(What::Refused(String::new())), entry(What::Removed)]), 2);
    }

    #[test]
    fn of_a_secret_only_keys_and_labels_are_shown() {
        let secret: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"password": "aHVudGVyMg=="},
        }))
        .unwrap();
        assert_eq!(keys(&secret), "with keys password");
        let metadata = ObjectMeta { labels: Some([("x".to_owned(), "y".to_owned())].into()), ..ObjectMeta::default() };
        let patch = json!({"metadata": {"uid": "1", "labels": {"a": "b"}, "ownerReferences": null}});
        let change = relabelling(&metadata, &patch).unwrap();
        assert_eq!(Tree::new("", change.trees(Paint::PLAIN)).to_string(), "\n└─ + metadata.labels.a: \"b\"\n");
    }

    #[test]
    fn an_autoscaler_finds_as_many_pods_as_there_were() {
        let deployment: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 1},
        }))
        .unwrap();
        assert_eq!(handed_over(deployment.clone(), Scaling::HandedOver(4)).data["spec"]["replicas"], 4);
        assert_eq!(handed_over(deployment.clone(), Scaling::Kept), deployment);
    }

    #[test]
    fn a_missing_key_is_named_with_those_who_need_it() {
        let secret = SecretKey {
            name: "ai".to_owned(),
            key: "k".to_owned(),
            used_by: ["backend-service".to_owned()].into(),
            maker: Maker::User,
        };
        let (text, _) = report(&[missing(&MissingSecret { secret, exists: false })], Paint::PLAIN);
        assert_eq!(text, "… Secret/ai: key k is missing, and needed by backend-service\n");
    }

    #[test]
    fn the_chart_says_every_setting_and_each_is_read_of_a_deployment() {
        let chart = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/helm/todo-operator/templates/deployment.yaml");
        let chart = std::fs::read_to_string(chart).unwrap();
        let command = SettingsArgs::augment_args(clap::Command::new("run"));
        let names: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
        assert!(names.len() > 5, "{names:?}");
        for name in names {
            assert!(chart.contains(&format!("- {{name: {name}, value: ")), "{name}");
            let env = json!([{"name": name, "value": "10.0.0.0/8"}]);
            let containers = json!([{"name": "operator", "env": env}]);
            let pod = json!({"spec": {"containers": containers}});
            let operator = serde_json::from_value(json!({"spec": {"selector": {}, "template": pod}})).unwrap();
            assert_ne!(settings_of(&operator), Settings::default(), "{name}");
        }
    }

    #[test]
    fn the_version_of_an_operator_that_is_not_told_is_that_of_its_image() {
        let usual = Settings::default().operator_version;
        for (image, told, expected) in [
            ("example.com:5000/todo-operator:9.8.7", None, "9.8.7"),
            ("todo-operator:9.8.7-rc.1@sha256:abc", None, "9.8.7-rc.1"),
            ("todo-operator:9.8.7", Some("9.8.8"), "9.8.8"),
            ("todo-operator:9.8", None, usual.as_str()),
            ("example.com:5000/todo-operator", None, usual.as_str()),
            ("todo-operator@sha256:abc", None, usual.as_str()),
        ] {
            let env: Vec<Value> =
                told.map(|told| json!({"name": "OPERATOR_VERSION", "value": told})).into_iter().collect();
            let containers =
                json!([{"name": "proxy", "image": "proxy:1.2.3"}, {"name": CONTAINER, "image": image, "env": env}]);
            let pod = json!({"spec": {"containers": containers}});
            let operator = serde_json::from_value(json!({"spec": {"selector": {}, "template": pod}})).unwrap();
            assert_eq!(settings_of(&operator).operator_version, expected, "{image} {told:?}");
        }
    }

    #[test]
    fn the_settings_are_those_of_the_operator_that_runs() {
        let operator: Deployment = serde_json::from_value(json!({"spec": {"selector": {}, "template": {"spec": {
            "containers": [{"name": "operator", "env": [
                {"name": "IMAGE_REGISTRY", "value": "example.com/todo/"},
                {"name": "DAPR_NAMESPACE", "value": "dapr"},
                {"name": "API_SERVER_CIDRS", "value": "10.96.0.1/32,fd00::/8"},
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ]}],
        }}}}))
        .unwrap();
        let expected = Settings {
            image_registry: "example.com/todo".to_owned(),
            dapr_namespace: "dapr".to_owned(),
            api_server: ["10.96.0.1/32", "fd00::/8"].map(|range| range.parse().unwrap()).to_vec(),
            ..Settings::default()
        };
        assert_eq!(settings_of(&operator), expected);
    }
}
