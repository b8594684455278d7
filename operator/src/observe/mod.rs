//! Looks at what runs: what the watches know, and what the sidecars and the services say themselves.

pub mod daprd;
pub mod data_path;
mod http;
mod last_words;
pub mod managed;
mod passwords;
pub mod rollout;
pub mod sidecar;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use todo_crds::platform::ServiceStatus;

use crate::{
    apply::{Applied, Dispute},
    dereference::{MissingSecret, cluster::Cluster},
    names::{self, App},
    plan::Live,
    resolve::{Account, Exposure, KafkaMode, PostgresMode, Resolved},
    topics::Topics,
};
pub use daprd::{ComponentObserved, DaprdMemory};
pub use data_path::{DataPath, DataPathMemory};
pub use http::Http;
pub use last_words::LastWords;
pub use rollout::{Rollout, State};

/// All that is known of a platform at the end of a pass.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Keys of Secrets that are missing.
    pub missing_secrets: Vec<MissingSecret>,
    /// Why Secrets cannot be read, if they cannot. Then nothing was written.
    pub secrets_unreadable: Option<String>,
    /// Whether what the spec of now asks for was planned, and all of it was there or tried.
    pub is_planned: bool,
    /// What the cluster has of Dapr.
    pub cluster: Cluster,
    /// Kafka and PostgreSQL.
    pub infrastructure: Infrastructure,
    /// Components as the sidecars have them.
    pub components: Vec<ComponentObserved>,
    /// The services.
    pub services: Vec<ServiceObserved>,
    /// Whether events really flow.
    pub data_path: DataPath,
    /// What became of the plan.
    pub applied: Applied,
    /// Fields that others claimed lately.
    pub disputes: Vec<Dispute>,
    /// Whether user ids are believed.
    pub unauthenticated: bool,
    /// Whether there is access to a language model, which nothing uses yet.
    pub unused_ai: bool,
    /// Where the page is.
    pub url: String,
}

impl Observed {
    /// All that is rolled out, by name: what is embedded or run for the platform, and the services.
    pub fn rollouts(&self) -> impl Iterator<Item = (&'static str, &Rollout)> {
        let parts = self.infrastructure.parts.iter().map(|(name, part)| (*name, &part.rollout));
        parts.chain(self.services.iter().map(|service| (service.app.id(), &service.rollout)))
    }
}

/// Kafka and PostgreSQL, and the topics.
#[derive(Clone, Debug, Default)]
pub struct Infrastructure {
    /// Parts by name, embedded or run by another operator; none where somebody else has them.
    pub parts: BTreeMap<&'static str, Part>,
    /// Other operators that are needed and not installed.
    pub missing: Vec<managed::Other>,
    /// Whether the topics are there.
    pub topics: Topics,
    /// As whom the services come to Kafka if somebody else runs it. They may reach it where the operator cannot, so they wait
    /// for nothing.
    pub account: Option<Account>,
}

/// Kafka or PostgreSQL.
#[derive(Clone, Debug)]
pub struct Part {
    /// How far it is.
    pub rollout: Rollout,
    /// The other operator that runs it; none if it is embedded.
    pub operator: Option<&'static str>,
}

impl Infrastructure {
    /// Whether the services may be started.
    pub fn is_ready(&self) -> bool {
        let parts = self.parts.values().all(|part| part.rollout.is_serving());
        parts && (self.account.is_some() || self.topics == Topics::Present)
    }
}

/// A service as it runs.
#[derive(Clone, Debug)]
pub struct ServiceObserved {
    /// Which one.
    pub app: App,
    /// Image that it is to run.
    pub image: String,
    /// How far it is.
    pub rollout: Rollout,
    /// Pods without which it does not serve: `wanted`, or where more are wanted than before, those until they have come.
    pub needed: i32,
    /// Pods that the spec says: a fixed number, or the fewest that an autoscaler may choose.
    pub wanted: i32,
    /// Pods with a sidecar.
    pub sidecars: i32,
    /// Pods without one.
    pub without_sidecar: Vec<String>,
}

impl ServiceObserved {
    /// Whether enough pods serve, even if more are to come.
    pub const fn is_serving(&self) -> bool {
        self.rollout.serves_with(self.needed)
    }

    /// Whether it serves, with a sidecar in each pod.
    pub const fn is_ready(&self) -> bool {
        self.is_serving() && self.without_sidecar.is_empty()
    }
}

/// What the watches know of Kafka and PostgreSQL. The topics of an embedded Kafka are asked for separately.
pub fn parts(platform: &Resolved, live: &Live, pods: &[Arc<Pod>]) -> BTreeMap<&'static str, Part> {
    let embedded =
        |name: &str| Part { rollout: workload("StatefulSet", name, live, &pods_of(pods, name)), operator: None };
    let managed = |rollout, other: managed::Other| Part { rollout, operator: Some(other.name) };
    let kafka = match &platform.kafka.mode {
        KafkaMode::Embedded(_) => Some(embedded(names::KAFKA)),
        KafkaMode::Strimzi(_) => Some(managed(managed::kafka(live), managed::STRIMZI)),
        KafkaMode::External(_) => None,
    };
    let postgres = match &platform.postgres.mode {
        PostgresMode::Embedded(_) => Some(embedded(names::POSTGRES)),
        PostgresMode::CloudNativePg(_) => Some(managed(managed::postgres(live), managed::CLOUD_NATIVE_PG)),
        PostgresMode::External { .. } => None,
    };
    let parts = [(names::KAFKA, kafka), (names::POSTGRES, postgres)];
    parts.into_iter().filter_map(|(name, part)| Some((name, part?))).collect()
}

/// What the watches know of the services, whose status was `before`.
pub fn services(platform: &Resolved, live: &Live, pods: &[Arc<Pod>], before: &[ServiceStatus]) -> Vec<ServiceObserved> {
    App::ALL
        .into_iter()
        .map(|app| {
            let pods = pods_of(pods, app.id());
            let (with, without): (Vec<&Pod>, Vec<&Pod>) =
                pods.iter().copied().filter(|pod| sidecar::counts(pod)).partition(|pod| sidecar::has_one(pod));
            let service = platform.service(app);
            let rollout = workload("Deployment", app.id(), live, &pods);
            let wanted = service.scale.min();
            ServiceObserved {
                app,
                image: service.image.clone(),
                needed: needed(wanted, rollout.ready, before.iter().find(|before| before.name == app.id())),
                wanted,
                rollout,
                sidecars: i32::try_from(with.len()).unwrap_or(i32::MAX),
                without_sidecar: without.iter().filter_map(|pod| pod.metadata.name.clone()).collect(),
            }
        })
        .collect()
}

fn workload(kind: &str, name: &str, live: &Live, pods: &[&Pod]) -> Rollout {
    rollout::of(live.get(kind, name).map(|object| &**object), pods).unless(live.is_outdated(kind, name))
}

/// Pods without which a service does not serve. The ones that it had are enough for as long as more of them are on the way;
/// one that had none, or of which not all served, needs all.
fn needed(wanted: i32, ready: i32, before: Option<&ServiceStatus>) -> i32 {
    let served = |before: &ServiceStatus| (1..=ready).contains(&before.replicas).then_some(before.replicas);
    let had = before.and_then(|before| before.needed.or_else(|| served(before)));
    had.filter(|_| ready < wanted).map_or(wanted, |had| had.min(wanted))
}

/// What changes when the broker is another one than before: its pod, and how often its container was started.
pub fn broker_incarnation(pods: &[Arc<Pod>]) -> String {
    let pods = pods_of(pods, names::KAFKA);
    let incarnations = pods.iter().map(|pod| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let restarts: i32 = statuses.map(|container| container.restart_count).sum();
        format!("{} {restarts}", pod.metadata.uid.as_deref().unwrap_or_default())
    });
    incarnations.collect::<Vec<_>>().join(",")
}

/// Where the page is: the host that it is reached at from outside, else its address in the cluster. Of a Gateway's listeners
/// nothing is known here, not even of the one that is named.
pub fn url(platform: &Resolved) -> String {
    match &platform.exposure {
        Some(Exposure::Ingress { host, tls_secret: Some(_), .. }) => format!("https://{host}"),
        Some(Exposure::Ingress { host, .. } | Exposure::HttpRoute { host, .. }) => format!("http://{host}"),
        None => format!("http://{}.{}.svc", App::Frontend.id(), platform.namespace),
    }
}

/// Asks the sidecars for their components and the backend for its data path, both at the same time.
pub async fn ask(
    http: &Http,
    platform: &Resolved,
    services: &[ServiceObserved],
    pods: &[Arc<Pod>],
    daprd_memory: &mut DaprdMemory,
    data_path_memory: &mut DataPathMemory,
) -> (Vec<ComponentObserved>, DataPath) {
    let serving: Vec<(App, &Pod)> = services.iter().flat_map(|service| serving(service, pods)).collect();
    let backends: Vec<&Pod> = serving.iter().filter(|(app, _)| *app == App::Backend).map(|(_, pod)| *pod).collect();
    let (now, look) = (Instant::now(), http.look());
    tokio::join!(
        daprd::components(look, platform, &serving, daprd_memory, now),
        data_path::read(look, &backends, data_path_memory, now)
    )
}

/// The pods of a service that people get answers from. While there are enough that are ready, one that only comes up,
/// or cannot, takes no part yet. The Deployment tells of its pods later than they do themselves, so they are counted.
fn serving<'a>(service: &ServiceObserved, pods: &'a [Arc<Pod>]) -> Vec<(App, &'a Pod)> {
    let pods = pods_of(pods, service.app.id());
    let ready = i32::try_from(pods.iter().filter(|pod| is_ready(pod)).count()).unwrap_or(i32::MAX);
    let enough = service.is_serving() && Rollout { ready, ..service.rollout.clone() }.serves_with(service.needed);
    pods.into_iter().filter(|pod| !enough || is_ready(pod)).map(|pod| (service.app, pod)).collect()
}

/// Whether a pod is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// How long until the data path has to be looked at again: at once when it may have gone stale, else after `usual`.
pub fn next_look(data_path: &DataPath, usual: Duration) -> Duration {
    data_path.stale_in().map_or(usual, |stale| stale.min(usual))
}

/// The pods of a service or an embedded part that are not on their way out.
fn pods_of<'a>(pods: &'a [Arc<Pod>], component: &str) -> Vec<&'a Pod> {
    pods.iter()
        .map(|pod| &**pod)
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter(|pod| {
            pod.metadata.labels.as_ref().and_then(|labels| labels.get("app")).is_some_and(|app| app == component)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use todo_crds::platform::TodoPlatform;

    use super::*;
    use crate::resolve::{Found, Settings, validate};

    #[test]
    fn a_pod_that_cannot_come_up_takes_no_part_while_enough_others_serve() {
        let pod = |name: &str, ready: &str| {
            let pod = json!({
                "metadata": {"name": name, "labels": {"app": "backend-service"}},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            });
            Arc::new(serde_json::from_value::<Pod>(pod).unwrap())
        };
        let pods = [pod("old", "True"), pod("new", "False")];
        let names = |desired, ready, needed| {
            let rollout = Rollout { desired, ready, state: State::Progressing(String::new()) };
            let (app, image, without_sidecar) = (App::Backend, String::new(), Vec::new());
            let service = ServiceObserved { app, image, rollout, needed, wanted: needed, sidecars: 2, without_sidecar };
            serving(&service, &pods).into_iter().filter_map(|(_, pod)| pod.metadata.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(1, 1, 1), ["old"]);
        assert_eq!(names(1, 0, 1), ["old", "new"]);
        assert_eq!(names(2, 2, 2), ["old", "new"], "the Deployment does not know yet that one of the two is not ready");
        assert_eq!(names(2, 1, 1), ["old"], "one more is on the way");
    }

    #[test]
    fn the_page_is_at_https_where_an_ingress_has_a_certificate() {
        for (ingress, expected) in [
            (json!({"host": "a.example.com"}), "http://a.example.com"),
            (json!({"host": "a.example.com", "tlsSecretName": "a"}), "https://a.example.com"),
            (json!({"host": "a.example.com", "gateway": {"name": "main"}}), "http://a.example.com"),
            (
                json!({"host": "a.example.com", "gateway": {"name": "main", "sectionName": "https"}}),
                "http://a.example.com",
            ),
            (json!(null), "http://frontend-service.ns.svc"),
        ] {
            let spec = if ingress.is_null() { json!({}) } else { json!({"ingress": ingress}) };
            let mut platform = TodoPlatform::new("todo", serde_json::from_value(spec).unwrap());
            platform.metadata.namespace = Some("ns".to_owned());
            let resolved = validate(&platform, &Settings::default(), &Found::default()).unwrap();
            assert_eq!(url(&resolved), expected, "{ingress}");
        }
    }

    #[test]
    fn a_service_that_is_enlarged_needs_the_pods_that_it_had_until_all_have_come() {
        let before = |replicas, needed| ServiceStatus { replicas, needed, ..ServiceStatus::default() };
        for (what, wanted, ready, before, expected) in [
            ("made for the first time", 4, 2, None, 4),
            ("its Deployment was not there yet", 4, 2, Some(before(0, None)), 4),
            ("made, and under way", 2, 1, Some(before(2, None)), 2),
            ("made smaller and enlarged before any served", 2, 0, Some(before(1, None)), 2),
            ("enlarged", 4, 2, Some(before(2, None)), 2),
            ("the Deployment has taken it up", 4, 3, Some(before(4, Some(2))), 2),
            ("enlarged once more before all had come", 6, 3, Some(before(4, Some(2))), 2),
            ("all have come", 4, 4, Some(before(4, Some(2))), 4),
            ("made with one pod, which an autoscaler has raised", 2, 1, Some(before(1, Some(2))), 2),
            ("made smaller by somebody else, and put right", 4, 1, Some(before(1, Some(4))), 4),
            ("one of them is gone again", 4, 3, Some(before(4, None)), 4),
            ("made smaller", 2, 4, Some(before(4, None)), 2),
            ("made smaller than what never came", 2, 1, Some(before(4, Some(3))), 2),
            ("more than its autoscaler's least", 2, 3, Some(before(5, None)), 2),
            ("no longer scaled by an autoscaler", 6, 3, Some(before(3, None)), 3),
        ] {
            assert_eq!(needed(wanted, ready, before.as_ref()), expected, "{what}");
        }
    }
}
