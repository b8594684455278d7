//! Affinity, as an API server takes it of a pod.

use k8s_openapi::{
    api::core::v1::{
        Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::check::key;

const REQUIRED: &str = ".requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = ".preferredDuringSchedulingIgnoredDuringExecution";

/// The path of what is wrong, below what was looked at, and the message.
type Wrong = (String, String);

/// An affinity.
pub(super) fn check(affinity: &Affinity) -> Result<(), Wrong> {
    if let Some(node) = &affinity.node_affinity {
        below(".nodeAffinity", of_nodes(node))?;
    }
    if let Some(near) = &affinity.pod_affinity {
        let required = near.required_during_scheduling_ignored_during_execution.as_ref();
        let preferred = near.preferred_during_scheduling_ignored_during_execution.as_ref();
        below(".podAffinity", of_pods(required, preferred))?;
    }
    if let Some(far) = &affinity.pod_anti_affinity {
        let required = far.required_during_scheduling_ignored_during_execution.as_ref();
        let preferred = far.preferred_during_scheduling_ignored_during_execution.as_ref();
        below(".podAntiAffinity", of_pods(required, preferred))?;
    }
    Ok(())
}

/// What is wrong with a part, as what is wrong with the whole.
fn below(part: &str, checked: Result<(), Wrong>) -> Result<(), Wrong> {
    checked.map_err(|(path, message)| (format!("{part}{path}"), message))
}

/// The same of each item of a list.
fn each<T>(list: &str, items: Option<&Vec<T>>, check: impl Fn(&T) -> Result<(), Wrong>) -> Result<(), Wrong> {
    let mut items = items.into_iter().flatten().enumerate();
    items.try_for_each(|(index, item)| below(&format!("{list}[{index}]"), check(item)))
}

fn at(field: &str, checked: Result<(), String>) -> Result<(), Wrong> {
    checked.map_err(|message| (field.to_owned(), message))
}

fn of_nodes(node: &NodeAffinity) -> Result<(), Wrong> {
    if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
        let (terms, path) = (&required.node_selector_terms, format!("{REQUIRED}.nodeSelectorTerms"));
        if terms.is_empty() {
            return Err((path, "is empty; write a term, or leave out what is required".to_owned()));
        }
        each(&path, Some(terms), nodes)?;
    }
    each(PREFERRED, node.preferred_during_scheduling_ignored_during_execution.as_ref(), |preferred| {
        at(".weight", weight(preferred.weight))?;
        below(".preference", nodes(&preferred.preference))
    })
}

fn of_pods(
    required: Option<&Vec<PodAffinityTerm>>,
    preferred: Option<&Vec<WeightedPodAffinityTerm>>,
) -> Result<(), Wrong> {
    each(REQUIRED, required, pods)?;
    each(PREFERRED, preferred, |preferred| {
        at(".weight", weight(preferred.weight))?;
        below(".podAffinityTerm", pods(&preferred.pod_affinity_term))
    })
}

fn weight(weight: i32) -> Result<(), String> {
    if (1..=100).contains(&weight) { Ok(()) } else { Err(format!("is {weight}; write between 1 and 100")) }
}

fn nodes(term: &NodeSelectorTerm) -> Result<(), Wrong> {
    let count = |one: &NodeSelectorRequirement| one.values.as_ref().map_or(0, Vec::len);
    each(".matchExpressions", term.match_expressions.as_ref(), |one| {
        at(".key", key(&one.key))?;
        match (one.operator.as_str(), count(one)) {
            ("Gt" | "Lt", 1) => Ok(()),
            ("Gt" | "Lt", _) => Err((".values".to_owned(), format!("write one value with {}", one.operator))),
            (operator, values) => compared(operator, values, "In, NotIn, Exists, DoesNotExist, Gt or Lt"),
        }
    })?;
    each(".matchFields", term.match_fields.as_ref(), |one| {
        let is_name = one.key == "metadata.name" && ["In", "NotIn"].contains(&one.operator.as_str()) && count(one) == 1;
        let message = "is no comparison with the name of a node; write metadata.name, In or NotIn and one value";
        if is_name { Ok(()) } else { Err((String::new(), message.to_owned())) }
    })
}

fn pods(term: &PodAffinityTerm) -> Result<(), Wrong> {
    at(".topologyKey", key(&term.topology_key))?;
    below(".labelSelector", term.label_selector.as_ref().map_or(Ok(()), labels))?;
    below(".namespaceSelector", term.namespace_selector.as_ref().map_or(Ok(()), labels))
}

fn labels(selector: &LabelSelector) -> Result<(), Wrong> {
    let mut names = selector.match_labels.iter().flat_map(|labels| labels.keys());
    at(".matchLabels", names.try_for_each(|name| key(name)))?;
    each(".matchExpressions", selector.match_expressions.as_ref(), |one| {
        let LabelSelectorRequirement { key: name, operator, values } = one;
        at(".key", key(name))?;
        compared(operator, values.as_ref().map_or(0, Vec::len), "In, NotIn, Exists or DoesNotExist")
    })
}

/// A label with so many values.
fn compared(operator: &str, values: usize, choices: &str) -> Result<(), Wrong> {
    match (operator, values) {
        ("In" | "NotIn", 1..) | ("Exists" | "DoesNotExist", 0) => Ok(()),
        ("In" | "NotIn", _) => Err((".values".to_owned(), format!("is empty; write values with {operator}"))),
        ("Exists" | "DoesNotExist", _) => Err((".values".to_owned(), format!("leave it out with {operator}"))),
        _ => Err((".operator".to_owned(), format!("is {operator:?}; write {choices}"))),
    }
}
