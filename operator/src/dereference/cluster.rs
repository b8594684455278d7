//! What the cluster has of Dapr and of other parts that may come while the operator runs.

use std::{collections::BTreeSet, time::Duration};

use futures::future::{join, join_all};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};
use todo_crds::{cloud_native_pg, strimzi};
use tokio::time::timeout;
use tracing::warn;

use crate::{
    build::monitoring,
    class::{Class, words},
    runtime::metrics,
};

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The Dapr kinds that a platform consists of.
pub const DAPR_KINDS: [&str; 3] = ["Component", "Configuration", "Resiliency"];
/// All kinds that may come late, by where they are.
const LATE_KINDS: [(&str, &[&str]); 5] = [
    ("dapr.io/v1alpha1", &DAPR_KINDS),
    ("gateway.networking.k8s.io/v1", &["HTTPRoute"]),
    (strimzi::GROUP_VERSION, &strimzi::KINDS),
    (monitoring::GROUP_VERSION, &monitoring::KINDS),
    (cloud_native_pg::GROUP_VERSION, &[cloud_native_pg::KIND]),
];
/// The Deployment that gives pods their sidecars, as Dapr's chart names it.
const INJECTOR: &str = "dapr-sidecar-injector";

/// What the cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Kinds that may come late and are there.
    pub served: BTreeSet<String>,
    /// Kinds that may come late and may be there: the API server has never answered whether they are.
    pub unanswered: BTreeSet<&'static str>,
    /// What gives pods their sidecars.
    pub injector: Injector,
}

impl Default for Cluster {
    /// Before anything was asked.
    fn default() -> Self {
        let kinds = LATE_KINDS.iter().flat_map(|(_, kinds)| *kinds);
        Self { served: BTreeSet::new(), unanswered: kinds.copied().collect(), injector: Injector::default() }
    }
}

impl Cluster {
    /// Dapr kinds that cannot be used.
    pub fn missing_dapr_kinds(&self) -> Vec<&'static str> {
        self.missing(&DAPR_KINDS)
    }

    /// Those of some kinds that cannot be used: they are not there, or nobody knows.
    pub fn missing(&self, kinds: &[&'static str]) -> Vec<&'static str> {
        kinds.iter().copied().filter(|kind| !self.served.contains(*kind)).collect()
    }

    /// Whether the API server has answered each question at least once.
    pub fn is_known(&self) -> bool {
        self.unanswered.is_empty() && self.injector != Injector::Unasked
    }

    /// Whether it has never answered if it has one of these kinds.
    pub fn is_unanswered(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.unanswered.contains(kind))
    }
}

/// What gives pods their sidecars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Injector {
    /// Nobody has answered yet whether it is there.
    #[default]
    Unasked,
    /// The operator may not look; then nothing is made to depend on it.
    Unknown,
    /// Not there.
    Missing,
    /// There, but none of its pods is ready.
    NotReady,
    /// At work.
    Ready {
        /// Version of Dapr, from the image's tag.
        version: Option<String>,
        /// Whether sidecars drop all capabilities, which Pod Security `restricted` wants.
        drops_capabilities: bool,
    },
}

/// Why something of the cluster could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The API server refused to answer, or could not be reached.
    #[error("cannot ask for {what}: {}", words(.error))]
    Api {
        /// What was asked for.
        what: String,
        /// What was answered.
        error: kube::Error,
    },
    /// There was no answer in time.
    #[error("cannot ask for {what}: no answer in time")]
    Deadline {
        /// What was asked for.
        what: String,
    },
}

impl AskError {
    /// Kind of the failure.
    fn class(&self) -> Class {
        match self {
            Self::Api { error, .. } => Class::of(error),
            Self::Deadline { .. } => Class::Transient,
        }
    }

    /// Counts and logs that a question is left without an answer.
    fn report(&self) {
        metrics::error(self.class());
        warn!(error = %self, "what is known of the cluster stays as it was");
    }
}

/// Asks the cluster, all questions at once. What cannot be asked now is as it was in `before`.
pub async fn read(client: &Client, dapr_namespace: &str, before: &Cluster) -> Cluster {
    let kinds = LATE_KINDS.map(|(group_version, kinds)| async move {
        (kinds, ask_kinds(client, group_version, kinds).await.inspect_err(AskError::report))
    });
    let injector = async { ask_injector(client, dapr_namespace).await.inspect_err(AskError::report) };
    let (answers, injector) = join(join_all(kinds), injector).await;
    let injector = injector.unwrap_or_else(|_| before.injector.clone());
    let (mut served, mut unanswered) = (BTreeSet::new(), BTreeSet::new());
    for (kinds, answer) in answers {
        match answer {
            Ok(found) => served.extend(found),
            Err(_) => {
                served.extend(before.served.iter().filter(|kind| kinds.contains(&kind.as_str())).cloned());
                unanswered.extend(kinds.iter().filter(|kind| before.unanswered.contains(*kind)));
            }
        }
    }
    Cluster { served, unanswered, injector }
}

/// Asks the cluster, and fails if it does not answer: without a look before, that would be taken for an answer.
pub async fn ask(client: &Client, dapr_namespace: &str) -> Result<Cluster, AskError> {
    let (served, injector) = (served(client).await?, ask_injector(client, dapr_namespace).await?);
    Ok(Cluster { served, unanswered: BTreeSet::new(), injector })
}

/// Asks for the kinds that may come late alone.
pub async fn served(client: &Client) -> Result<BTreeSet<String>, AskError> {
    let mut served = BTreeSet::new();
    for (group_version, kinds) in LATE_KINDS {
        served.extend(ask_kinds(client, group_version, kinds).await?);
    }
    Ok(served)
}

async fn ask_kinds(client: &Client, group_version: &str, kinds: &[&str]) -> Result<Vec<String>, AskError> {
    let question = client.list_api_group_resources(group_version);
    match within(&format!("the kinds of {group_version}"), question).await {
        Ok(list) => {
            let found = list.resources.into_iter().map(|resource| resource.kind);
            Ok(found.filter(|kind| kinds.contains(&kind.as_str())).collect())
        }
        Err(AskError::Api { error, .. }) if Class::of(&error) == Class::Missing => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn ask_injector(client: &Client, namespace: &str) -> Result<Injector, AskError> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    match within(&format!("Deployment {INJECTOR} of namespace {namespace}"), api.get_opt(INJECTOR)).await {
        Ok(Some(deployment)) => Ok(injector(&deployment)),
        Ok(None) => Ok(Injector::Missing),
        Err(AskError::Api { error, .. }) if Class::of(&error) == Class::Forbidden => Ok(Injector::Unknown),
        Err(error) => Err(error),
    }
}

async fn within<T>(what: &str, question: impl Future<Output = kube::Result<T>>) -> Result<T, AskError> {
    match timeout(DEADLINE, question).await {
        Ok(answer) => answer.map_err(|error| AskError::Api { what: what.to_owned(), error }),
        Err(_) => Err(AskError::Deadline { what: what.to_owned() }),
    }
}

fn injector(deployment: &Deployment) -> Injector {
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
    if ready == 0 {
        return Injector::NotReady;
    }
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.first());
    let tag = container.and_then(|container| container.image.as_deref()).and_then(tag);
    let drops_capabilities = container.is_some_and(|container| {
        let variables = container.env.iter().flatten();
        variables.into_iter().any(|v| v.name == "SIDECAR_DROP_ALL_CAPABILITIES" && v.value.as_deref() == Some("true"))
    });
    Injector::Ready { version: tag, drops_capabilities }
}

/// Tag of an image, without what a flavour of it adds.
fn tag(image: &str) -> Option<String> {
    let image = image.split('@').next()?;
    let (_, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    Some(tag.split('-').next().unwrap_or(tag).to_owned())
}

/// A warning about a version of Dapr that is known to be weak.
pub fn version_warning(version: &str) -> Option<String> {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next().flatten().unwrap_or_default());
    if (major, minor) < (1, 16) {
        Some(format!("Dapr {version} is older than 1.16, which the operator is made for"))
    } else if (major, minor) == (1, 16) && patch < 14 {
        Some(format!("Dapr {version} lacks a fix of its access control that came with 1.16.14"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// An API server that answers nothing else than this failure.
    fn failing(code: u16, reason: &str) -> Client {
        let failure = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason, "code": code,
        });
        let service = tower::service_fn(move |_: Request<Body>| {
            let answer = Response::builder().status(code).body(Body::from(failure.to_string().into_bytes())).unwrap();
            async { Ok::<_, Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn no_answer_is_not_taken_for_the_answer_that_nothing_is_there() {
        let unreachable = failing(503, "ServiceUnavailable");
        let asked = ask(&unreachable, "dapr-system").await.map_err(|error| error.to_string());
        assert_eq!(asked, Err("cannot ask for the kinds of dapr.io/v1alpha1: no".to_owned()));
        let at_first = read(&unreachable, "dapr-system", &Cluster::default()).await;
        assert_eq!(at_first, Cluster::default());
        assert!(!at_first.is_known() && at_first.is_unanswered(&strimzi::KINDS));
        let served = ["Component".to_owned()].into();
        let before = Cluster { served, unanswered: ["HTTPRoute"].into(), injector: Injector::NotReady };
        assert_eq!(read(&unreachable, "dapr-system", &before).await, before);
        let nothing = Cluster { served: BTreeSet::new(), unanswered: BTreeSet::new(), injector: Injector::Missing };
        let absent = failing(404, "NotFound");
        assert_eq!(ask(&absent, "dapr-system").await.unwrap(), nothing);
        assert_eq!(read(&absent, "dapr-system", &before).await, nothing);
        assert!(nothing.is_known());
    }

    #[test]
    fn the_version_is_read_from_the_image() {
        for (image, version) in [
            ("ghcr.io/dapr/dapr:1.16.14", Some("1.16.14")),
            ("registry:5000/dapr/injector:1.16.0-linux-amd64", Some("1.16.0")),
            ("registry:5000/dapr", None),
            ("dapr:1.17.1@sha256:abc", Some("1.17.1")),
        ] {
            assert_eq!(tag(image).as_deref(), version, "{image}");
        }
    }

    #[test]
    fn old_versions_are_warned_about_and_new_ones_are_not() {
        assert!(version_warning("1.15.3").is_some() && version_warning("1.16.0").is_some());
        assert!(version_warning("1.16.14").is_none() && version_warning("1.18.2").is_none());
        assert!(version_warning("edge").is_none());
    }

    #[test]
    fn what_the_injector_is_set_to_is_read_from_its_deployment() {
        let deployment: Deployment = serde_json::from_value(serde_json::json!({
            "metadata": {"name": INJECTOR},
            "spec": {"selector": {}, "template": {"spec": {"containers": [{
                "name": "injector", "image": "ghcr.io/dapr/injector:1.16.14",
                "env": [{"name": "SIDECAR_DROP_ALL_CAPABILITIES", "value": "true"}],
            }]}}},
            "status": {"readyReplicas": 1},
        }))
        .unwrap();
        let ready = Injector::Ready { version: Some("1.16.14".to_owned()), drops_capabilities: true };
        assert_eq!(injector(&deployment), ready);
        assert_eq!(injector(&Deployment { status: None, ..deployment }), Injector::NotReady);
    }
}
