//! Every field of the spec that holds a value, as the schema has it.

use std::{collections::BTreeMap, fmt};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Map, Value, json};

/// Key of the entry that is made of a map.
const ENTRY: &str = "memory";

/// One step down into a spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(String),
    Item,
    Entry,
}

/// A field that holds a value and no other fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    path: Vec<Step>,
    /// Its own schema.
    pub(super) schema: Value,
}

impl Leaf {
    /// All that the schema of a spec has.
    pub fn all(spec: &Value) -> Vec<Self> {
        let mut leaves = Vec::new();
        collect(spec, &mut Vec::new(), &mut leaves);
        leaves
    }

    /// Some of them, of each part of the spec about as many, chosen by `seed`.
    pub fn sample(spec: &Value, count: usize, seed: u64) -> Vec<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut parts: BTreeMap<String, Vec<Self>> = BTreeMap::new();
        for leaf in Self::all(spec) {
            parts.entry(leaf.part()).or_default().push(leaf);
        }
        let mut parts: Vec<Vec<Self>> = parts.into_values().collect();
        parts.shuffle(&mut random);
        for part in &mut parts {
            part.shuffle(&mut random);
        }
        let longest = parts.iter().map(Vec::len).max().unwrap_or_default();
        let turns = (0..longest).flat_map(|turn| parts.iter().filter_map(move |part| part.get(turn).cloned()));
        turns.take(count).collect()
    }

    /// What it belongs to. Most leaves are those of the affinities, which are many and alike.
    fn part(&self) -> String {
        let fields = self.path.iter().filter_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item | Step::Entry => None,
        });
        fields.take(3).collect::<Vec<_>>().join(".")
    }

    /// A spec as `base`, with this leaf set, and with what has to be beside it.
    pub(super) fn set(&self, base: &Value, spec: &Value, value: &Value) -> Value {
        let mut changed = base.clone();
        put(&mut changed, &self.path, spec, value);
        changed
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec")?;
        self.path.iter().try_for_each(|step| match step {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Item => write!(f, "[]"),
            Step::Entry => write!(f, "{{}}"),
        })
    }
}

fn collect(schema: &Value, path: &mut Vec<Step>, leaves: &mut Vec<Leaf>) {
    let mut down = |step: Step, schema: &Value| {
        path.push(step);
        collect(schema, path, leaves);
        path.pop();
    };
    if let Some(fields) = schema["properties"].as_object() {
        fields.iter().for_each(|(name, schema)| down(Step::Field(name.clone()), schema));
    } else if schema["items"].is_object() {
        down(Step::Item, &schema["items"]);
    } else if schema["additionalProperties"].is_object() {
        down(Step::Entry, &schema["additionalProperties"]);
    } else {
        leaves.push(Leaf { path: path.clone(), schema: schema.clone() });
    }
}

fn put(target: &mut Value, path: &[Step], schema: &Value, value: &Value) {
    let Some((step, rest)) = path.split_first() else {
        *target = value.clone();
        return;
    };
    if *step == Step::Item {
        if target.get(0).is_none() {
            *target = json!([null]);
        }
        put(&mut target[0], rest, &schema["items"], value);
        return;
    }
    if !target.is_object() {
        *target = json!({});
    }
    match step {
        Step::Field(name) => put(&mut target[name], rest, &schema["properties"][name], value),
        Step::Entry | Step::Item => put(&mut target[ENTRY], rest, &schema["additionalProperties"], value),
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if target[name].is_null() {
            target[name] = least(&schema["properties"][name]);
        }
    }
}

/// A limit of a whole number. Definitions have them with a point.
pub(super) fn limit(schema: &Value, name: &str) -> Option<i64> {
    format!("{:.0}", schema[name].as_f64()?).parse().ok()
}

/// A value with nothing in it that can be left out.
fn least(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Value::Object(
                required.map(|name| (name.to_owned(), least(&schema["properties"][name]))).collect::<Map<_, _>>(),
            )
        }
        Some("array") => json!([least(&schema["items"])]),
        Some("integer") => json!(limit(schema, "minimum").unwrap_or(1)),
        Some("boolean") => json!(true),
        _ => json!("a".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).unwrap_or(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        let text = json!({"type": "string", "minLength": 2});
        json!({"type": "object", "properties": {
            "a": {"type": "array", "items": {"type": "object", "required": ["x"], "properties": {"x": text, "y": text}}},
            "b": {"type": "object", "additionalProperties": text},
            "c": {"type": "boolean"},
        }})
    }

    #[test]
    fn all_fields_that_hold_values_are_found_and_set_with_what_has_to_be_beside_them() {
        let leaves = Leaf::all(&schema());
        let names: Vec<_> = leaves.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["spec.a[].x", "spec.a[].y", "spec.b{}", "spec.c"]);
        let set = |leaf: &Leaf| leaf.set(&json!({"c": false}), &schema(), &json!("new"));
        assert_eq!(set(&leaves[1]), json!({"a": [{"x": "aa", "y": "new"}], "c": false}));
        assert_eq!(set(&leaves[2]), json!({"b": {"memory": "new"}, "c": false}));
    }

    #[test]
    fn a_sample_is_the_same_for_the_same_seed_and_has_something_of_each_part() {
        let sample = Leaf::sample(&schema(), 4, 7);
        assert_eq!(sample, Leaf::sample(&schema(), 4, 7));
        assert_eq!(sample.len(), 4);
        assert_eq!(Leaf::sample(&schema(), 9, 7).len(), 4);
    }
}
