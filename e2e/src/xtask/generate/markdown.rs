//! What both references have in common.

use serde_json::Value;

/// What a schema says about itself, in one line.
pub(super) fn prose(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    description.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as it stands in a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The type of a value with its bounds.
pub(super) fn type_of(schema: &Value) -> String {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> =
            choices.iter().filter_map(Value::as_str).map(|choice| format!("`{choice}`")).collect();
        return choices.join(", ");
    }
    let bounds = |least: &str, most: &str, what: &str| match (number(least).filter(|least| *least > 0.0), number(most))
    {
        (Some(least), Some(most)) => format!(", {least} to {most}{what}"),
        (None, Some(most)) => format!(", at most {most}{what}"),
        (Some(least), None) => format!(", at least {least}{what}"),
        (None, None) => String::new(),
    };
    match schema["type"].as_str() {
        Some("string") => format!("string{}", bounds("minLength", "maxLength", " characters")),
        Some("integer") => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("integer, {least} to {most}"),
            _ => "integer".to_owned(),
        },
        Some("array") => format!("list of {}{}", type_of(&schema["items"]), bounds("minItems", "maxItems", "")),
        Some("object") if schema.get("properties").is_some() => "object".to_owned(),
        Some("object") => format!("map{}", bounds("minProperties", "maxProperties", "")),
        Some(other) => other.to_owned(),
        None if schema["x-kubernetes-int-or-string"] == true => "integer or string".to_owned(),
        None => {
            let one_of: Vec<_> = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if one_of.is_empty() { "anything".to_owned() } else { one_of.join(" or ") }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_is_told_with_its_bounds() {
        for (schema, expected) in [
            (json!({"type": "string", "minLength": 1, "maxLength": 8}), "string, 1 to 8 characters"),
            (json!({"type": "string", "maxLength": 8}), "string, at most 8 characters"),
            (json!({"type": "integer", "minimum": 0, "maximum": 9}), "integer, 0 to 9"),
            (json!({"type": "string", "enum": ["a", "b"]}), "`a`, `b`"),
            (json!({"type": "array", "maxItems": 2, "items": {"type": "boolean"}}), "list of boolean, at most 2"),
            (json!({"type": "object", "properties": {}}), "object"),
            (json!({"type": "object", "maxProperties": 4}), "map, at most 4"),
            (json!({"x-kubernetes-int-or-string": true}), "integer or string"),
            (json!({"type": ["number", "string"]}), "number or string"),
            (json!({}), "anything"),
        ] {
            assert_eq!(type_of(&schema), expected);
        }
    }
}
