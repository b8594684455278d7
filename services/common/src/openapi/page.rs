//! The document as a page without scripts or anything from elsewhere, so that the strictest content policy lets it through.

use std::fmt::Write;

use serde_json::{Map, Value};

pub(super) const STYLE: &str = include_str!("page.css");
/// In the order in which people look for them.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One page with all operations and schemas.
pub(super) fn render(api: &Value) -> String {
    let title = escaped(text(&api["info"]["title"]));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"docs.css\"></head>\
         <body><main><h1>{title}</h1><p>Version {version} · <a href=\"openapi.json\">openapi.json</a></p>",
        version = escaped(text(&api["info"]["version"])),
    );
    page += &paragraphs(&api["info"]["description"]);
    page += "<h2>Operations</h2>";
    for (path, item) in members(&api["paths"]) {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                page += &self::operation(method, path, operation);
            }
        }
    }
    page += "<h2>Schemas</h2>";
    for (name, schema) in members(&api["components"]["schemas"]) {
        let name = escaped(name);
        let _ = write!(page, "<section id=\"{name}\"><h3>{name}</h3>{}</section>", object(schema));
    }
    page + "</main></body></html>"
}

fn operation(method: &str, path: &str, operation: &Value) -> String {
    let mut html = format!(
        "<details><summary><b class=\"{method}\">{}</b> <code>{}</code> {}</summary>{}",
        method.to_uppercase(),
        escaped(path),
        escaped(text(&operation["summary"])),
        paragraphs(&operation["description"]),
    );
    let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
        let name =
            format!("{} <small>in {}</small>", escaped(text(&parameter["name"])), escaped(text(&parameter["in"])));
        row(&name, &parameter["schema"], parameter["required"] == true, &parameter["description"])
    });
    html += &table("Parameters", parameters);
    html += &table("Body", members(&operation["requestBody"]["content"]).map(media_row));
    let answers = members(&operation["responses"]).map(|(status, answer)| {
        let forms: Vec<_> = members(&answer["content"])
            .map(|(media, content)| format!("{} <small>{}</small>", type_of(&content["schema"]), escaped(media)))
            .collect();
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(status),
            forms.join("<br>"),
            escaped(text(&answer["description"]))
        )
    });
    html += &table("Answers", answers);
    html + "</details>"
}

fn media_row((media, content): (&String, &Value)) -> String {
    format!("<tr><td>{}</td><td>{}</td><td></td></tr>", escaped(media), type_of(&content["schema"]))
}

fn table(title: &str, rows: impl Iterator<Item = String>) -> String {
    let rows: String = rows.collect();
    if rows.is_empty() { rows } else { format!("<h4>{title}</h4><table>{rows}</table>") }
}

fn row(name: &str, schema: &Value, required: bool, description: &Value) -> String {
    let required = if required { " <small>required</small>" } else { "" };
    let description = description.as_str().unwrap_or_else(|| text(&schema["description"]));
    format!("<tr><td>{name}{required}</td><td>{}</td><td>{}</td></tr>", type_of(schema), escaped(description))
}

/// A schema of its own: its words and, where it has them, its fields.
fn object(schema: &Value) -> String {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = members(&schema["properties"]).map(|(name, field)| {
        row(&escaped(name), field, required.iter().any(|required| required == name), &field["description"])
    });
    let fields = table("Fields", rows);
    let fields = if fields.is_empty() { format!("<p>{}</p>", type_of(schema)) } else { fields };
    paragraphs(&schema["description"]) + &fields
}

/// A type in a few words, with links to the schemas that it names.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    for (key, between) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if let Some(parts) = schema[key].as_array() {
            return parts.iter().map(type_of).collect::<Vec<_>>().join(between);
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("<code>{}</code>", escaped(text(word)))).collect::<Vec<_>>().join(", ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        name => text(name).to_owned(),
    };
    let inner = match name.as_str() {
        "array" => format!(" of {}", type_of(&schema["items"])),
        "object" => {
            let fields = members(&schema["properties"]);
            let fields: Vec<_> = fields.map(|(name, field)| format!("{}: {}", escaped(name), type_of(field))).collect();
            if fields.is_empty() { String::new() } else { format!(" {{{}}}", fields.join(", ")) }
        }
        _ => String::new(),
    };
    let format = schema["format"].as_str().map(|format| format!(" ({})", escaped(format))).unwrap_or_default();
    format!("{}{inner}{format}", escaped(&name))
}

fn paragraphs(value: &Value) -> String {
    let parts = text(value).split("\n\n").filter(|part| !part.trim().is_empty());
    parts.map(escaped).fold(String::new(), |html, part| html + "<p>" + &part + "</p>")
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_document_says_is_text_and_never_markup() {
        let api =
            json!({"info": {"title": "<b>&\"", "version": "1"}, "paths": {"/<x>": {"get": {"summary": "<script>"}}}});
        let page = render(&api);
        assert!(
            page.contains("&lt;b&gt;&amp;&quot;") && page.contains("&lt;script&gt;") && page.contains("/&lt;x&gt;")
        );
        assert!(!page.contains("<script>") && !page.contains("<x>"));
    }

    #[test]
    fn a_type_is_said_in_a_few_words() {
        assert_eq!(type_of(&json!({"type": ["string", "null"], "format": "date"})), "string or null (date)");
        assert_eq!(
            type_of(&json!({"oneOf": [{"$ref": "#/components/schemas/Task"}, {"type": "null"}]})),
            "<a href=\"#Task\">Task</a> or null"
        );
        let list = json!({"type": "array", "items": {"type": "object", "properties": {"at": {"enum": ["a", "b"]}}}});
        assert_eq!(type_of(&list), "array of object {at: <code>a</code>, <code>b</code>}");
    }
}
