//! The table of the rules that look at a field by itself, and the cases that come of it: each value for each field.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Case;

const TABLE: &str = include_str!("rules.yaml");
/// What `*` stands for in the name of a field.
const SERVICES: [&str; 4] = ["backend", "frontend", "notification", "recurringTask"];

/// A rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Its message.
    pub(crate) says: String,
    /// The fields that it holds for.
    at: Vec<String>,
    /// Values that it takes, as all other rules do.
    takes: Vec<Value>,
    /// Values that it refuses.
    refuses: Vec<Value>,
}

impl Row {
    /// All of them.
    pub(crate) fn read() -> Vec<Self> {
        serde_yaml::from_str(TABLE).expect("a table of rules")
    }

    /// Names of the fields that it holds for, such as `spec.imagePullSecrets[].name`.
    pub(crate) fn fields(&self) -> impl Iterator<Item = String> {
        self.at.iter().flat_map(|field| {
            let of_all = SERVICES.iter().map(move |service| field.replace('*', service));
            of_all.take(if field.contains('*') { SERVICES.len() } else { 1 })
        })
    }

    /// Each value at each field.
    pub(super) fn cases(&self) -> Vec<Case> {
        let values = self.takes.iter().map(|value| (value, None));
        let values: Vec<_> = values.chain(self.refuses.iter().map(|value| (value, Some(&self.says)))).collect();
        let at = |field: String| {
            let case = |(value, refused): &(&Value, Option<&String>)| Case {
                what: format!("{field}: {value}"),
                name: None,
                old: None,
                spec: spec(&field, value),
                refused: refused.cloned(),
                by_schema: false,
                operator: None,
                taken: None,
                field: Some(field.clone()),
            };
            values.iter().map(case).collect::<Vec<_>>()
        };
        self.fields().flat_map(at).collect()
    }
}

/// A spec with a value at a field, and with what cannot be left out beside it.
fn spec(field: &str, value: &Value) -> Value {
    let steps: Vec<&str> = field.split('.').collect();
    with("spec", &steps[1..], value)
}

fn with(path: &str, steps: &[&str], value: &Value) -> Value {
    let Some((step, below)) = steps.split_first() else { return value.clone() };
    let inner = with(&format!("{path}.{step}"), below, value);
    let mut object = beside(path);
    match step.strip_suffix("[]") {
        Some(list) => object[list] = json!([inner]),
        None => object[*step] = inner,
    }
    object
}

/// What has to be in an object with one of its fields.
fn beside(path: &str) -> Value {
    let secret = json!({"secretKeyRef": {"name": "a", "key": "k"}});
    match path {
        "spec.ai" => json!({"apiKey": secret}),
        "spec.dapr.tracing" => json!({"endpoint": "http://collector:4318"}),
        "spec.ingress" => json!({"host": "todo.example.com"}),
        "spec.ingress.gateway" => json!({"name": "main"}),
        "spec.kafka.external" => json!({"brokers": ["kafka:9092"], "tls": {"caCertificate": secret}}),
        "spec.kafka.external.auth.mtls" => json!({"certificate": secret, "key": secret}),
        "spec.kafka.external.auth.plain" | "spec.kafka.external.auth.scram" => {
            json!({"username": secret, "password": secret})
        }
        "spec.notifications.email.smtp" => {
            json!({"host": "mail", "from": "todo@example.com", "username": secret, "password": secret})
        }
        _ if path.ends_with(".secretKeyRef") => secret["secretKeyRef"].clone(),
        _ if path.ends_with(".env[]") => json!({"name": "A", "value": "b"}),
        _ => json!({}),
    }
}
