//! What an API server takes as the affinity of a pod. The schema of Kubernetes' own type does not say it, and a Deployment with
//! anything else is refused on every try.

use k8s_openapi::api::core::v1::Affinity;
use kube::core::Rule;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::schema::{Bounds, bounded};

/// How labels of pods and of namespaces can be compared.
const OF_PODS: [&str; 4] = ["Exists", "DoesNotExist", "In", "NotIn"];
/// How labels of nodes can.
const OF_NODES: [&str; 6] = ["Exists", "DoesNotExist", "In", "NotIn", "Gt", "Lt"];
/// How the name of a node can.
const OF_NAMES: [&str; 2] = ["In", "NotIn"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Affinity, as in a pod.
pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = bounded::<Affinity>(generator, &Bounds { text: 317, items: 16 });
    if let Some(schema) = schema.as_object_mut() {
        choose(schema, &OF_PODS);
    }
    schema
}

/// Leaves these operators to all requirements below a field, and what there is to choose of elsewhere.
fn choose(schema: &mut Map<String, Value>, operators: &[&str]) {
    if let Some(Value::Object(items)) = schema.get_mut("items") {
        choose(items, operators);
    }
    let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
    for (name, field) in fields.iter_mut().filter_map(|(name, field)| Some((name, field.as_object_mut()?))) {
        match name.as_str() {
            "operator" => drop(field.insert("enum".to_owned(), json!(operators))),
            "weight" => field.extend([("minimum".to_owned(), json!(1)), ("maximum".to_owned(), json!(100))]),
            "nodeAffinity" => choose(field, &OF_NODES),
            "matchFields" => choose(field, &OF_NAMES),
            "nodeSelectorTerms" => {
                field.insert("minItems".to_owned(), json!(1));
                choose(field, operators);
            }
            _ => choose(field, operators),
        }
    }
}

/// A label is compared with as many values as its operator takes.
pub(super) fn values() -> Rule {
    const COUNT: &str = "(has(one.values) ? one.values.size() : 0)";
    let fits =
        format!("one.operator in ['In', 'NotIn'] ? {COUNT} > 0 : {COUNT} == (one.operator in ['Gt', 'Lt'] ? 1 : 0)");
    let of_node = |term: &str| each(&format!("{term}.matchExpressions"), &fits);
    let of_pod = |term: &str| {
        let selectors = ["labelSelector", "namespaceSelector"].map(|selector| {
            let expressions = each(&format!("{term}.{selector}.matchExpressions"), &fits);
            format!("(!has({term}.{selector}) || {expressions})")
        });
        selectors.join(" && ")
    };
    let all = [
        terms("nodeAffinity", ".nodeSelectorTerms", "preference", of_node),
        terms("podAffinity", "", "podAffinityTerm", of_pod),
        terms("podAntiAffinity", "", "podAffinityTerm", of_pod),
    ];
    Rule::new(all.join(" && "))
        .message("write values with In and NotIn, one with Gt and Lt, and none with Exists and DoesNotExist")
}

/// The one field of nodes that can be compared is their name.
pub(super) fn names_of_nodes() -> Rule {
    const IS_NAME: &str = "one.key == 'metadata.name' && has(one.values) && one.values.size() == 1";
    let of_node = |term: &str| each(&format!("{term}.matchFields"), IS_NAME);
    Rule::new(terms("nodeAffinity", ".nodeSelectorTerms", "preference", of_node))
        .message("write metadata.name and the name of one node in matchFields, or a label in matchExpressions")
}

/// Whether something holds of all terms of an affinity. Those that are required are in a field of it, and those that are
/// preferred are each beside their weight.
fn terms(affinity: &str, required: &str, preferred: &str, holds: impl Fn(&str) -> String) -> String {
    let (must, may) = (holds("term"), holds(&format!("way.{preferred}")));
    format!(
        "(!has(self.{affinity}) \
         || (!has(self.{affinity}.{REQUIRED}) || self.{affinity}.{REQUIRED}{required}.all(term, {must})) \
         && (!has(self.{affinity}.{PREFERRED}) || self.{affinity}.{PREFERRED}.all(way, {may})))"
    )
}

/// Whether something holds of each item of a list, if there is one.
fn each(list: &str, holds: &str) -> String {
    format!("(!has({list}) || {list}.all(one, {holds}))")
}
