//! What the operator's account asked of the API server, by the audit log of the cluster, beside what the chart grants it.

mod audit;
mod compare;
mod granted;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use anyhow::Context;
use jiff::Timestamp;

pub use audit::Request;
pub use compare::{Unneeded, findings};
pub use granted::Grant;

use crate::cluster::{Cluster, settings::CLUSTER};

/// Where `config/kind` puts the log, and the older one beside it.
const LOGS: &str = "/var/log/kubernetes/audit*.log";
/// How long reading the log may take: it is cut at 200 MB, and there are at most two.
const LIMIT: Duration = Duration::from_mins(2);

/// What the chart grants and no suite on this cluster can need. Each of it is used in the tests of faults, which fail otherwise.
pub const ELSEWHERE: [Unneeded; 2] = [
    Unneeded {
        resources: &[
            "clusters.postgresql.cnpg.io",
            "httproutes.gateway.networking.k8s.io",
            "kafkanodepools.kafka.strimzi.io",
            "kafkas.kafka.strimzi.io",
            "kafkatopics.kafka.strimzi.io",
            "kafkausers.kafka.strimzi.io",
            "podmonitors.monitoring.coreos.com",
            "prometheusrules.monitoring.coreos.com",
        ],
        verbs: &["create", "get", "list", "patch", "watch"],
        why: "the cluster has no such kind; an API server that has is asked in the tests of faults",
    },
    Unneeded {
        resources: &[
            "httproutes.gateway.networking.k8s.io",
            "podmonitors.monitoring.coreos.com",
            "prometheusrules.monitoring.coreos.com",
        ],
        verbs: &["delete"],
        why: "as above",
    },
];

/// What the chart grants although no request ever needs it.
pub const UNNEEDED: [Unneeded; 1] = [Unneeded {
    resources: &["todoplatforms.todoplatform.dev/finalizers"],
    verbs: &["update"],
    why: "no request: an admission plugin that not every cluster has asks whether it would be allowed",
}];

/// One verb on one kind of resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Plural and group, and the subresource if it is one: `pods/log`, `todoplatforms.todoplatform.dev/status`.
    pub resource: String,
    /// For example `list`.
    pub verb: String,
}

impl Right {
    /// As rules and audit logs write it.
    fn new(group: &str, plural: &str, subresource: Option<&str>, verb: &str) -> Self {
        let mut resource = plural.to_owned();
        for (sign, part) in [('.', Some(group).filter(|group| !group.is_empty())), ('/', subresource)] {
            if let Some(part) = part {
                resource.push(sign);
                resource.push_str(part);
            }
        }
        Self { resource, verb: verb.to_owned() }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

/// A release of the chart on the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Release<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name, which is its account's as well.
    pub name: &'a str,
}

/// Compares an audit log with what a release's manifest grants to its account, and says how many rights of [`ELSEWHERE`] on
/// these resources were used.
///
/// # Errors
/// With all that is not in order, each of those rights that was not used among it, or why it cannot be told.
pub fn check_elsewhere(manifest: &str, log: &str, release: Release<'_>, resources: &[&str]) -> anyhow::Result<usize> {
    let (granted, requests) = (granted::of_manifest(manifest, release)?, audit::requests(log, release)?);
    let mut found = findings(&granted, &requests, None);
    let expected = ELSEWHERE.iter().flat_map(Unneeded::rights);
    let expected: Vec<Right> = expected.filter(|right| resources.contains(&right.resource.as_str())).collect();
    let used = |right: &&Right| requests.iter().any(|request| request.right == **right && request.refused.is_none());
    found.extend(expected.iter().filter(|right| !used(right)).map(|right| format!("never used: {right}")));
    anyhow::ensure!(found.is_empty(), "rights of {}/{}:\n{}", release.namespace, release.name, found.join("\n"));
    Ok(expected.len())
}

/// How often a release's account has written the status of a platform in a namespace.
pub async fn status_writes(cluster: &Cluster, release: Release<'_>, namespace: &str) -> anyhow::Result<usize> {
    let log = select_lines(cluster, &format!("'index($0, \"\\\"namespace\\\":\\\"{namespace}\\\"\")'")).await?;
    let right = Right::new("todoplatform.dev", "todoplatforms", Some("status"), "patch");
    audit::count(&log, release, &right, namespace)
}

/// Lines of the audit log that a program of awk selects.
async fn select_lines(cluster: &Cluster, program: &str) -> anyhow::Result<String> {
    let docker = cluster.docker().context("the nodes are no containers of this machine")?;
    let (node, select) = (format!("{CLUSTER}-control-plane"), format!("awk {program} {LOGS}"));
    Ok(docker.command().args(["exec", &node, "sh", "-c", &select]).limit(LIMIT).run().await?)
}

/// Compares what a release's account asked for since a moment with what the release grants it, and says in one line what
/// it found to be in order. All that is granted has to be used if `whole` says that the whole suite has run since.
///
/// # Errors
/// With all that is not in order, or why it cannot be told.
pub async fn check(cluster: &Cluster, release: Release<'_>, since: Timestamp, whole: bool) -> anyhow::Result<String> {
    let manifest = cluster.helm().args(["get", "manifest", release.name, "--namespace", release.namespace]).run();
    let granted = granted::of_manifest(&manifest.await?, release)?;
    // The log of a long suite is long, and of most lines the moment says that they are of no interest.
    let begin = format!("{since:.6}");
    let select =
        format!("-F '\"requestReceivedTimestamp\":\"' -v begin={begin} 'substr($2, 1, {}) >= begin'", begin.len());
    let log = select_lines(cluster, &select).await?;
    let requests = audit::requests(&log, release)?;
    let excused: Vec<Unneeded> = ELSEWHERE.into_iter().chain(UNNEEDED).collect();
    let found = findings(&granted, &requests, whole.then_some(excused.as_slice()));
    anyhow::ensure!(found.is_empty(), "rights of {}/{}:\n{}", release.namespace, release.name, found.join("\n"));
    let rights = |count: usize| format!("{count} rights of {}/{}", release.namespace, release.name);
    Ok(if whole {
        let of = |rights: &[Unneeded]| rights.iter().map(|one| one.resources.len() * one.verbs.len()).sum::<usize>();
        format!(
            "{}: all were used, {} of them in the tests of faults alone, but {} for which it is written why, and nothing else was",
            rights(granted.len()),
            of(&ELSEWHERE),
            of(&UNNEEDED),
        )
    } else {
        format!(
            "{}: nothing else was asked for. Whether each is needed only the whole suite can say",
            rights(granted.len())
        )
    })
}
