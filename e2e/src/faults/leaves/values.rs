//! Values that are tried for a field: some that a person could write, and some that nobody should.

use serde_json::{Value, json};

use super::schema::limit;

/// Texts that some field takes.
const TEXTS: [&str; 16] = [
    "leaf",
    "Leaf_0",
    "90s",
    "20s",
    "7Gi",
    "70Gi",
    "leaf.example:9092",
    "250m",
    "0 * * * *",
    "https://leaf.example:8443/path",
    "http://leaf.example:4318",
    "leaf.example.com",
    "mailto:leaf@example.com",
    "0.25",
    "Exists",
    "NoSchedule",
];

/// Texts that mean something to what a spec is written into: YAML, shells, templates, URLs, Dapr's own syntax.
const HOSTILE: [&str; 9] = [
    "",
    " ",
    "a\nb: c",
    "$(leaf)",
    "{{ .leaf }}",
    "\"; exit 1; '",
    "../../leaf",
    "leaf\u{202e}\u{0}",
    "https://user:secret@[::1]:99999/?a=b#c",
];

/// Values in order of their likeliness to be meant, and those that are hostile.
pub(super) fn of(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let long = json!("a".repeat(70_000));
    if let Some(all) = schema["enum"].as_array() {
        return (all.clone(), vec![json!("leaf"), json!(""), json!(1), long]);
    }
    match schema["type"].as_str() {
        Some("boolean") => (vec![json!(true), json!(false)], vec![json!("true"), json!(1), json!([])]),
        Some("integer") => {
            let (least, most) = (limit(schema, "minimum").unwrap_or(1), limit(schema, "maximum").unwrap_or(1000));
            let within = vec![json!(least), json!(most), json!(least + 1)];
            (within, vec![json!(least - 1), json!(most + 1), json!(i64::MAX), json!(-1), json!(1.5), json!("1")])
        }
        // Anything else is a text here, or a quantity, which can be a number as well.
        _ => {
            let hostile = HOSTILE.iter().map(|text| json!(text));
            let others = [long, json!(-1), json!(true), json!({"leaf": {}})];
            (TEXTS.iter().map(|text| json!(text)).collect(), hostile.chain(others).collect())
        }
    }
}
