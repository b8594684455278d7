//! Requests beside grants. Pure.

use std::collections::BTreeSet;

use super::{Grant, Request, Right};

/// Rights that are granted although a suite on the cluster of the tests cannot use them.
#[derive(Clone, Copy, Debug)]
pub struct Unneeded {
    /// As [`Right::resource`] has them.
    pub resources: &'static [&'static str],
    /// On each of them.
    pub verbs: &'static [&'static str],
    /// For whoever reads the list.
    pub why: &'static str,
}

impl Unneeded {
    pub(super) fn rights(&self) -> impl Iterator<Item = Right> + '_ {
        let right = |resource: &str, verb: &str| Right { resource: resource.to_owned(), verb: verb.to_owned() };
        self.resources.iter().flat_map(move |resource| self.verbs.iter().map(move |verb| right(resource, verb)))
    }
}

/// What is not in order, in words: requests that were refused or that nothing granted, and grants that are too wide. With a
/// list of what is not needed, also grants that were not used and are not in the list, and entries of the list that were
/// used, or are not granted.
pub fn findings(granted: &BTreeSet<Grant>, requests: &BTreeSet<Request>, unneeded: Option<&[Unneeded]>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for request in requests {
        let place = request.namespace.as_deref().unwrap_or("all namespaces");
        if let Some(said) = &request.refused {
            found.insert(format!("refused: {} in {place}: {said}", request.right));
        } else if !granted.iter().any(|grant| covers(grant, request)) {
            found.insert(format!("asked for and not granted by the chart: {} in {place}", request.right));
        }
    }
    found.extend(
        granted.iter().filter(|grant| is_too_wide(&grant.right)).map(|grant| format!("too wide: {}", grant.right)),
    );
    if let Some(unneeded) = unneeded {
        let rights: BTreeSet<&Right> = granted.iter().map(|grant| &grant.right).collect();
        let excused: BTreeSet<Right> = unneeded.iter().flat_map(Unneeded::rights).collect();
        for grant in granted.iter().filter(|grant| !excused.contains(&grant.right)) {
            if !requests.iter().any(|request| covers(grant, request)) {
                found.insert(format!("granted and never used: {}", grant.right));
            }
        }
        for right in &excused {
            if requests.iter().any(|request| request.right == *right) {
                found.insert(format!("said to be unneeded, and used: {right}"));
            }
            if !rights.contains(right) {
                found.insert(format!("said to be unneeded, and not granted: {right}"));
            }
        }
    }
    found.into_iter().collect()
}

fn covers(grant: &Grant, request: &Request) -> bool {
    let within = |of: &Option<String>, at: &Option<String>| of.is_none() || of == at;
    grant.right == request.right && within(&grant.namespace, &request.namespace) && within(&grant.name, &request.name)
}

/// A wildcard, or a look at Secrets that nobody named.
fn is_too_wide(right: &Right) -> bool {
    let reads_all = ["deletecollection", "list", "watch"].contains(&right.verb.as_str());
    right.to_string().contains('*') || (right.resource == "secrets" && reads_all)
}
