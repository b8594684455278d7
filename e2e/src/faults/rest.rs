//! What an operator may ask of the API server while nothing changes, and how often. All else is too much.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::proxy::{Entry, Ledger};

/// Questions about kinds that may come late, as the operator asks them.
const LATE_KINDS: [&str; 5] = [
    "/apis/dapr.io/v1alpha1",
    "/apis/gateway.networking.k8s.io/v1",
    "/apis/kafka.strimzi.io/v1",
    "/apis/monitoring.coreos.com/v1",
    "/apis/postgresql.cnpg.io/v1",
];
/// What is watched: the platforms, their pods and what they are made of.
const WATCHED: [&str; 17] = [
    "todoplatforms",
    "pods",
    "configmaps",
    "deployments",
    "horizontalpodautoscalers",
    "ingresses",
    "networkpolicies",
    "persistentvolumeclaims",
    "poddisruptionbudgets",
    "roles",
    "rolebindings",
    "services",
    "serviceaccounts",
    "statefulsets",
    "components",
    "configurations",
    "resiliencies",
];
/// Between two looks at the Lease, each of which renews it.
const LEASE: Duration = Duration::from_secs(2);
/// Between two reads of a named Secret, at least.
const SECRET: Duration = Duration::from_secs(9);
/// Between two questions about what may come late.
const LATE: Duration = Duration::from_mins(1);
/// How long a watch is open before the client opens it anew, where it was.
const WATCH: Duration = Duration::from_secs(290);

/// Secrets of a platform of [`super::Ground::make_platform`], whose Kafka and PostgreSQL are somebody else's.
pub const EXTERNAL: [&str; 2] = ["postgres-connection", "todo-app-token"];
/// Secrets of a platform of an empty spec.
pub const EMBEDDED: [&str; 4] = ["kafka-password", "kafka-username", "postgres-connection", "todo-app-token"];

/// The Secrets that a platform names.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Where they are.
    pub namespace: &'a str,
    /// What they are called.
    pub secrets: &'a [&'a str],
}

/// Requests by what they are for, with how many came and how many may come.
#[derive(Debug)]
pub struct AtRest {
    time: Duration,
    asked: BTreeMap<String, (usize, usize)>,
}

impl AtRest {
    /// Counts what came within `time`, in which the platforms that name these Secrets did not change.
    pub fn of(ledger: &Ledger, time: Duration, named: &[Named<'_>]) -> Self {
        let mut asked = BTreeMap::<String, (usize, usize)>::new();
        for entry in ledger.all() {
            let most = period(entry, named).map_or(0, |period| at_most(time, period));
            let (count, _) = asked.entry(name(entry)).or_insert((0, most));
            *count += 1;
        }
        Self { time, asked }
    }

    /// What came that may not come at all, or came too often.
    pub fn too_much(&self) -> Vec<String> {
        let is_too_much = |(_, (count, most)): &(&String, &(usize, usize))| count > most;
        self.asked.iter().filter(is_too_much).map(line).collect()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.asked.values().map(|(count, _)| count).sum()
    }
}

impl fmt::Display for AtRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} requests in {} s", self.count(), self.time.as_secs())?;
        self.asked.iter().try_for_each(|asked| writeln!(f, "  {}", line(asked)))
    }
}

fn line((name, (count, most)): (&String, &(usize, usize))) -> String {
    format!("{name}: {count} times, of {most} that may be")
}

/// One at the beginning, and one after each period.
fn at_most(time: Duration, period: Duration) -> usize {
    usize::try_from(time.as_millis() / period.as_millis()).unwrap_or(usize::MAX).saturating_add(1)
}

/// How long there has to be between two such requests; none if there may be none.
fn period(entry: &Entry, named: &[Named<'_>]) -> Option<Duration> {
    let target = &entry.target;
    let is_named = || {
        let of = |named: &&Named<'_>| named.namespace == target.namespace;
        named.iter().find(of).is_some_and(|named| named.secrets.contains(&target.name.as_str()))
    };
    match (target.verb, target.resource.as_str(), target.name.as_str()) {
        ("get" | "update", "leases", "todo-operator") => Some(LEASE),
        ("get", "secrets", _) if is_named() => Some(SECRET),
        ("get", "deployments", "dapr-sidecar-injector") if target.namespace == "dapr-system" => Some(LATE),
        ("list", "", _) if LATE_KINDS.contains(&entry.path.as_str()) => Some(LATE),
        ("watch", resource, "") if WATCHED.contains(&resource) => Some(WATCH),
        _ => None,
    }
    .filter(|_| target.subresource.is_empty())
}

/// What a request is called where it is counted.
fn name(entry: &Entry) -> String {
    let target = &entry.target;
    match (target.resource.as_str(), target.namespace.as_str()) {
        ("", _) => format!("{} {}", target.verb, entry.path),
        (_, "") => target.to_string(),
        (_, namespace) => format!("{target} in {namespace}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Target;

    const NAMED: [Named<'_>; 1] = [Named { namespace: "a", secrets: &["token"] }];

    fn asked(verb: &'static str, path: &str, times: usize) -> Vec<String> {
        let method = match verb {
            "update" => http::Method::PUT,
            "patch" => http::Method::PATCH,
            _ => http::Method::GET,
        };
        let query = if verb == "watch" { "watch=true" } else { "" };
        let ledger = Ledger::of(times, &Target::of(&method, path, query, &[]), path);
        AtRest::of(&ledger, Duration::from_mins(1), &NAMED).too_much()
    }

    #[test]
    fn what_is_not_named_is_too_much_the_first_time() {
        for (verb, path) in [
            ("get", "/api/v1/namespaces/a/secrets/other"),
            ("get", "/api/v1/namespaces/b/secrets/token"),
            ("list", "/api/v1/namespaces/a/secrets"),
            ("watch", "/api/v1/namespaces/a/secrets"),
            ("get", "/apis/apps/v1/namespaces/a/deployments/backend-service"),
            ("list", "/apis/apps/v1/namespaces/a/deployments"),
            ("patch", "/apis/apps/v1/namespaces/a/deployments/backend-service"),
            ("patch", "/apis/todoplatform.dev/v1alpha1/namespaces/a/todoplatforms/todo/status"),
            ("list", "/apis"),
            ("list", "/version"),
        ] {
            assert_eq!(asked(verb, path, 1).len(), 1, "{verb} {path}");
        }
    }

    #[test]
    fn what_is_named_is_too_much_once_it_comes_too_often() {
        for (verb, path, most) in [
            ("get", "/apis/coordination.k8s.io/v1/namespaces/a/leases/todo-operator", 31),
            ("update", "/apis/coordination.k8s.io/v1/namespaces/a/leases/todo-operator", 31),
            ("get", "/api/v1/namespaces/a/secrets/token", 7),
            ("get", "/apis/apps/v1/namespaces/dapr-system/deployments/dapr-sidecar-injector", 2),
            ("list", "/apis/dapr.io/v1alpha1", 2),
            ("watch", "/apis/apps/v1/deployments", 1),
        ] {
            assert_eq!(asked(verb, path, most), [""; 0], "{verb} {path}");
            assert_eq!(asked(verb, path, most + 1).len(), 1, "{verb} {path}");
        }
    }
}
