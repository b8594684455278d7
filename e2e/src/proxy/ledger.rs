//! What was asked of the API server, by whom, and with what answer.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::Value;

/// What a request asks for, as RBAC names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// For example `patch`.
    pub verb: &'static str,
    /// For example `deployments`; empty for a question about the server itself.
    pub resource: String,
    /// Empty for all namespaces.
    pub namespace: String,
    /// Empty for lists and watches.
    pub name: String,
    /// For example `status`; mostly empty.
    pub subresource: String,
}

impl Target {
    /// Reads it from a request. The name of what is created is in its body.
    pub(crate) fn of(method: &http::Method, path: &str, query: &str, body: &[u8]) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        let watches = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
        let mut name = part(1);
        let verb = match method.as_str() {
            "GET" if watches => "watch",
            "GET" if name.is_empty() => "list",
            "GET" => "get",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => "other",
        };
        if verb == "create"
            && let Ok(object) = serde_json::from_slice::<Value>(body)
        {
            object["metadata"]["name"].as_str().unwrap_or_default().clone_into(&mut name);
        }
        Self { verb, resource: part(0), namespace: namespace.to_owned(), name, subresource: part(2) }
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        matches!(self.verb, "create" | "update" | "patch" | "delete")
    }

    /// Whether it is a write of the platform's own: to one of its objects, or its status. Events say what happened and
    /// the Lease who leads; neither is a part of it.
    pub fn is_work(&self) -> bool {
        self.is_write() && !matches!(self.resource.as_str(), "events" | "leases")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        for part in [&self.name, &self.subresource] {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it came.
    pub at: Instant,
    /// What it asked for.
    pub target: Target,
    /// The same as a path, without a query.
    pub path: String,
    /// Who wrote, as field manager.
    pub manager: String,
    /// What was sent.
    pub body: Bytes,
    /// The answer that the client saw; none if it saw none, or none yet.
    pub status: Option<u16>,
    /// The answer of the API server, whatever became of it.
    pub done: Option<u16>,
}

/// All requests, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(super) entries: Vec<Entry>,
}

impl Ledger {
    /// Every request.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Writes to the platform's objects and its status.
    pub fn work(&self) -> impl Iterator<Item = &Entry> {
        self.all().filter(|entry| entry.target.is_work())
    }

    /// Requests that came after this moment.
    #[must_use]
    pub fn since(&self, moment: Instant) -> Self {
        Self { entries: self.all().filter(|entry| entry.at > moment).cloned().collect() }
    }

    /// Requests about one namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { entries: self.all().filter(|entry| entry.target.namespace == namespace).cloned().collect() }
    }

    /// How long nothing has been written.
    pub fn quiet_for(&self) -> Duration {
        self.work().map(|entry| entry.at.elapsed()).min().unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
impl Ledger {
    /// The same request several times.
    pub(crate) fn of(times: usize, target: &Target, path: &str) -> Self {
        let (at, target, path) = (Instant::now(), target.clone(), path.to_owned());
        let (manager, body) = (String::new(), Bytes::new());
        let entry = Entry { at, target, path, manager, body, status: None, done: None };
        Self { entries: vec![entry; times] }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.entries.first() else { return write!(f, "no request") };
        self.entries.iter().try_for_each(|entry| {
            let after = entry.at.duration_since(first.at).as_millis();
            writeln!(f, "{after:>7} ms {} -> {:?} (done: {:?})", entry.target, entry.status, entry.done)
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_request_is_read_as_rbac_reads_it() {
        let of = |method: Method, path: &str, query: &str, body: &str| {
            let target = Target::of(&method, path, query, body.as_bytes());
            format!("{target} in {:?}", target.namespace)
        };
        let base = "/apis/apps/v1/namespaces/a/deployments";
        assert_eq!(of(Method::GET, base, "limit=500", ""), "list deployments in \"a\"");
        assert_eq!(of(Method::GET, base, "watch=true&x=1", ""), "watch deployments in \"a\"");
        assert_eq!(of(Method::PATCH, &format!("{base}/b/status"), "", ""), "patch deployments/b/status in \"a\"");
        assert_eq!(
            of(Method::POST, "/api/v1/namespaces/a/secrets", "", r#"{"metadata": {"name": "s"}}"#),
            "create secrets/s in \"a\""
        );
        assert_eq!(of(Method::GET, "/api/v1/namespaces/a", "", ""), "get namespaces/a in \"\"");
        assert_eq!(of(Method::GET, "/api/v1/pods", "watch=1", ""), "watch pods in \"\"");
    }
}
