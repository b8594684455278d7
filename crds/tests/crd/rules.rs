use std::sync::LazyLock;

use kube::core::cel::{Validator, compile_schema};
use serde_json::Value;

use crate::{
    cel::{Case, TABLES},
    schema::schema,
};

/// Each case that the rules, and not the schema alone, decide, by the name of its table, with what the rules say about it.
/// Made once: to compile the schema takes longer than all else.
static SAID: LazyLock<Vec<(&str, Case, String)>> = LazyLock::new(|| {
    let schema = compile_schema(&schema());
    let cases =
        TABLES.into_iter().flat_map(|(table, text)| Case::read(text).into_iter().map(move |case| (table, case)));
    let decided = cases.filter(|(_, case)| !case.by_schema);
    decided
        .map(|(table, case)| {
            let validated = Validator::new().validate_compiled(&schema, &case.platform(), case.old().as_ref());
            (table, case, validated.err().map(|errors| errors.to_string()).unwrap_or_default())
        })
        .collect()
});

/// What the rules say about the cases of every table that they, and not the schema alone, decide.
#[test]
fn the_rules_take_and_refuse_what_the_tables_say() {
    for (table, case, said) in SAID.iter() {
        match &case.refused {
            Some(message) => assert!(said.contains(message), "{table}, {}: {said:?}", case.what),
            None => assert_eq!(said, "", "{table}, {}", case.what),
        }
    }
}

/// A rule that no case meets could as well be wrong, or be missing.
#[test]
fn every_rule_refuses_a_case_of_the_tables() {
    let mut messages = Vec::new();
    collect_messages(&schema(), &mut messages);
    assert!(messages.len() > 50, "only {} rules were found", messages.len());
    let refused: Vec<_> = SAID.iter().filter(|(_, case, _)| case.refused.is_some()).collect();
    messages.retain(|message| !refused.iter().any(|(_, _, said)| said.contains(message)));
    assert_eq!(messages, [""; 0], "no case is refused with these messages");
}

/// The messages of all rules below a schema.
fn collect_messages(schema: &Value, messages: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        messages.push(rule["message"].as_str().unwrap_or_default().to_owned());
    }
    let below: Box<dyn Iterator<Item = &Value>> = match schema {
        Value::Object(fields) => Box::new(fields.values()),
        Value::Array(items) => Box::new(items.iter()),
        _ => return,
    };
    below.for_each(|schema| collect_messages(schema, messages));
}
