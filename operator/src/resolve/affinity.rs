//! Affinity, as an API server takes it of a pod.

use k8s_openapi::{
    api::core::v1::{Affinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::check::key;

/// An affinity.
pub(super) fn check(affinity: &Affinity) -> Result<(), String> {
    if let Some(node) = &affinity.node_affinity {
        if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
            if required.node_selector_terms.is_empty() {
                return Err("has no nodeSelectorTerms; write one, or leave out what is required".to_owned());
            }
            required.node_selector_terms.iter().try_for_each(nodes)?;
        }
        for preferred in node.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
            weight(preferred.weight)?;
            nodes(&preferred.preference)?;
        }
    }
    let near = affinity.pod_affinity.iter().map(|pods| {
        (
            &pods.required_during_scheduling_ignored_during_execution,
            &pods.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let far = affinity.pod_anti_affinity.iter().map(|pods| {
        (
            &pods.required_during_scheduling_ignored_during_execution,
            &pods.preferred_during_scheduling_ignored_during_execution,
        )
    });
    for (required, preferred) in near.chain(far) {
        required.iter().flatten().try_for_each(pods)?;
        for preferred in preferred.iter().flatten() {
            weight(preferred.weight)?;
            pods(&preferred.pod_affinity_term)?;
        }
    }
    Ok(())
}

fn weight(weight: i32) -> Result<(), String> {
    if (1..=100).contains(&weight) { Ok(()) } else { Err(format!("has the weight {weight}; write between 1 and 100")) }
}

fn nodes(term: &NodeSelectorTerm) -> Result<(), String> {
    for NodeSelectorRequirement { key: name, operator, values } in term.match_expressions.iter().flatten() {
        key(name)?;
        let count = values.as_ref().map_or(0, Vec::len);
        match operator.as_str() {
            "Gt" | "Lt" if count == 1 => {}
            "Gt" | "Lt" => return Err(format!("compares {name} with {count} values; write one with {operator}")),
            _ => compared(name, operator, count)?,
        }
    }
    let mut fields = term.match_fields.iter().flatten();
    let is_name = |field: &NodeSelectorRequirement| {
        let count = field.values.as_ref().map_or(0, Vec::len);
        field.key == "metadata.name" && ["In", "NotIn"].contains(&field.operator.as_str()) && count == 1
    };
    match fields.find(|field| !is_name(field)) {
        None => Ok(()),
        Some(field) => Err(format!("has {} in matchFields; write metadata.name, In or NotIn and one value", field.key)),
    }
}

fn pods(term: &PodAffinityTerm) -> Result<(), String> {
    key(&term.topology_key)?;
    [&term.label_selector, &term.namespace_selector].into_iter().flatten().try_for_each(labels)
}

fn labels(selector: &LabelSelector) -> Result<(), String> {
    selector.match_labels.iter().flat_map(|labels| labels.keys()).try_for_each(|name| key(name))?;
    for LabelSelectorRequirement { key: name, operator, values } in selector.match_expressions.iter().flatten() {
        key(name)?;
        compared(name, operator, values.as_ref().map_or(0, Vec::len))?;
    }
    Ok(())
}

/// A label with so many values.
fn compared(name: &str, operator: &str, values: usize) -> Result<(), String> {
    match (operator, values) {
        ("In" | "NotIn", 1..) | ("Exists" | "DoesNotExist", 0) => Ok(()),
        ("In" | "NotIn", _) => Err(format!("compares {name} with nothing; write values with {operator}")),
        ("Exists" | "DoesNotExist", _) => Err(format!("has values for {name}; write none with {operator}")),
        _ => {
            Err(format!("has the operator {operator:?}; write In, NotIn, Exists or DoesNotExist, or Gt or Lt of nodes"))
        }
    }
}
