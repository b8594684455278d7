//! The audit log, as far as it is of interest here.

use std::collections::BTreeSet;

use anyhow::Context;
use serde::Deserialize;

use super::{Release, Right};

/// What an API server says to somebody who creates something in a namespace that is on its way out, by the same code as
/// to somebody who has no right.
const LEAVING: &str = "because it is being terminated";

/// One kind of request that was made, however often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// What was asked for.
    pub right: Right,
    /// Where; none for what is in no namespace, or in all of them.
    pub namespace: Option<String>,
    /// Of which object, if of one.
    pub name: Option<String>,
    /// Why not, if it was refused for want of a right.
    pub refused: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    object_ref: Option<Object>,
    response_status: Option<Status>,
    #[serde(rename = "requestURI")]
    uri: String,
}

#[derive(Clone, Deserialize)]
struct User {
    username: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    resource: Option<String>,
    subresource: Option<String>,
    api_group: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
    message: Option<String>,
}

/// What an account asked for, each once.
pub(super) fn requests(log: &str, account: Release<'_>) -> anyhow::Result<BTreeSet<Request>> {
    Ok(entries(log, account)?.into_iter().flat_map(of_entry).collect())
}

/// How often an account did this in a namespace, whether or not something was changed by it.
pub(super) fn count(log: &str, account: Release<'_>, right: &Right, namespace: &str) -> anyhow::Result<usize> {
    let is_done =
        |entry: &Entry| entry.response_status.as_ref().is_some_and(|status| (200..300).contains(&status.code));
    let is_it = |request: &Request| request.right == *right && request.namespace.as_deref() == Some(namespace);
    let done = entries(log, account)?.into_iter().filter(is_done);
    Ok(done.filter(|entry| of_entry(entry.clone()).iter().any(is_it)).count())
}

fn entries(log: &str, account: Release<'_>) -> anyhow::Result<Vec<Entry>> {
    let account = format!("system:serviceaccount:{}:{}", account.namespace, account.name);
    let mut entries = Vec::new();
    for line in log.lines().filter(|line| line.contains(&account)) {
        let entry: Entry = serde_json::from_str(line).with_context(|| format!("no line of an audit log: {line}"))?;
        if entry.user.username == account {
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn of_entry(entry: Entry) -> Vec<Request> {
    let status = entry.response_status.unwrap_or_default();
    let said = status.message.unwrap_or_default();
    let refused = (status.code == 403 && !said.contains(LEAVING)).then_some(said);
    let Some(Object { resource: Some(plural), subresource, api_group, namespace, name }) = entry.object_ref else {
        // Which kinds there are, everybody may ask.
        let right = Right { resource: entry.uri, verb: entry.verb };
        return refused
            .map(|said| Request { right, namespace: None, name: None, refused: Some(said) })
            .into_iter()
            .collect();
    };
    let right =
        |verb: &str| Right::new(api_group.as_deref().unwrap_or_default(), &plural, subresource.as_deref(), verb);
    let mut verbs = vec![entry.verb.as_str()];
    // An apply of what is not there needs the right to create as well.
    if entry.verb == "patch" && status.code == 201 {
        verbs.push("create");
    }
    let request = |verb: &&str| Request {
        right: right(verb),
        namespace: namespace.clone(),
        name: name.clone(),
        refused: refused.clone(),
    };
    verbs.iter().map(request).collect()
}
