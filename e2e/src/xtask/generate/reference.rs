//! The reference of the resource, from its definition.

use std::{collections::HashMap, fmt::Write as _};

use serde_json::{Map, Value};

use super::markdown::{cell, prose, type_of};

/// Kubernetes' own types, which its documentation describes.
const THEIRS: [&str; 2] = ["affinity", "tolerations"];

const INTRODUCTION: &str = "# TodoPlatform

Every field of the resource `TodoPlatform`, `todoplatform.dev/v1alpha1`. No field has a default that is stored: what is absent means
what is said here, in every release anew. [Concepts](../concepts.md) says what a platform is, [Operations](../operations.md) how one
is run.
";

/// The reference as Markdown.
pub(super) fn of(crd: &Value) -> String {
    let mut text = INTRODUCTION.to_owned();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut written = HashMap::new();
    for root in ["spec", "status"] {
        section(&mut text, root, &schema[root], &mut written);
    }
    text
}

/// An object and all below it. `written` are the ones that need not be written again, by what they say.
fn section(text: &mut String, path: &str, schema: &Value, written: &mut HashMap<String, String>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "\n## `{path}`\n\n{}", prose(schema));
    let mut rules_of_all = rules(schema);
    rules_of_all.dedup();
    if !rules_of_all.is_empty() {
        let _ = writeln!(text, "\n- {}", rules_of_all.join("\n- "));
    }
    let _ = writeln!(text, "\n| field | type | what it is |\n|---|---|---|");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut below = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flat_map(Map::iter) {
        let own = if field.get("items").is_some() { &field["items"] } else { field };
        let place = format!("{path}.{name}{}", if field.get("items").is_some() { "[]" } else { "" });
        let mut what = prose(field);
        if required.contains(&name.as_str()) {
            what = format!("**Required.** {what}");
        }
        let type_ = if own.get("properties").is_none() {
            what = std::iter::once(what).chain(rules(field)).collect::<Vec<_>>().join(" ");
            type_of(field)
        } else if THEIRS.contains(&name.as_str()) {
            "as in a pod of Kubernetes".to_owned()
        } else {
            let target = written.entry(content(own)).or_insert_with(|| {
                below.push((place.clone(), own));
                place
            });
            format!("[{}](#{})", type_of(field), anchor(target))
        };
        let _ = writeln!(text, "| `{name}` | {type_} | {} |", cell(&what));
    }
    for (path, schema) in below {
        section(text, &path, schema, written);
    }
}

/// What the rules of a field ask for, as sentences.
fn rules(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["message"].as_str()).map(sentence).collect()
}

fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    // A sentence that begins with the name of a field, or with a list of names, leaves it as it is written.
    let first = letters.next().map(|first| {
        if message.split(' ').next().is_some_and(|word| word.contains('.') || word.ends_with(',')) {
            first.to_string()
        } else {
            first.to_uppercase().to_string()
        }
    });
    let end = if message.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), letters.as_str())
}

/// What a section would say, apart from what its own field says about it.
fn content(schema: &Value) -> String {
    let mut schema = schema.clone();
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("description");
    }
    schema.to_string()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    heading.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_a_sentence_that_leaves_names_as_they_are() {
        for (message, expected) in [
            ("write a name", "Write a name."),
            ("write a name.", "Write a name."),
            ("spec.kafka is fixed", "spec.kafka is fixed."),
            ("className, annotations are an Ingress's", "className, annotations are an Ingress's."),
        ] {
            assert_eq!(sentence(message), expected);
        }
    }

    #[test]
    fn every_field_is_in_the_table_of_its_object_and_equal_objects_have_one() {
        let service = |what: &str| {
            json!({"type": "object", "description": what, "required": ["name"], "properties": {"name": {
                "type": "string", "maxLength": 9, "description": "Its name.",
                "x-kubernetes-validations": [{"rule": "self != ''", "message": "write a name"}],
            }}})
        };
        let spec = json!({"type": "object", "description": "What is wanted.", "properties": {
            "one": service("The one."), "other": service("The other."),
            "list": {"type": "array", "maxItems": 2, "description": "All.", "items": service("Each.")},
        }});
        let status = json!({"type": "object", "description": "What there is.", "properties": {}});
        let schema = json!({"openAPIV3Schema": {"properties": {"spec": spec, "status": status}}});
        let text = of(&json!({"spec": {"versions": [{"schema": schema}]}}));
        assert_eq!(
            text.strip_prefix(INTRODUCTION).unwrap(),
            "\n## `spec`\n\nWhat is wanted.\n\n| field | type | what it is |\n|---|---|---|\n\
             | `one` | [object](#specone) | The one. |\n| `other` | [object](#specone) | The other. |\n\
             | `list` | [list of object, at most 2](#specone) | All. |\n\
             \n## `spec.one`\n\nThe one.\n\n| field | type | what it is |\n|---|---|---|\n\
             | `name` | string, at most 9 characters | **Required.** Its name. Write a name. |\n\
             \n## `status`\n\nWhat there is.\n\n| field | type | what it is |\n|---|---|---|\n"
        );
    }
}
