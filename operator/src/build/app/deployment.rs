//! Deployments of the services.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, ContainerPort, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec, SleepAction,
            TopologySpreadConstraint,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::env;
use crate::{
    build::{
        dapr::{self, annotations::DRAIN_SECONDS},
        hash, owned,
        pod::{
            Timing, container_security, http_probe, metadata, mount, pull_secrets, resources, scratch, security,
            some_list, some_map,
        },
    },
    labels,
    names::{App, MANAGEMENT_PORT},
    resolve::{Resolved, Scale, Service},
};

/// User and group of all of our images.
pub const USER: i64 = 65532;
/// Name of the management port.
pub(in crate::build) const MANAGEMENT: &str = "management";
/// Seconds from the request to stop until the kubelet ends what has not ended by itself: an app takes 20 s at most after its drain.
const GRACE_SECONDS: i64 = DRAIN_SECONDS + 25;

/// Deployment of one service.
pub fn build(platform: &Resolved, app: App) -> Deployment {
    let service = platform.service(app);
    let mut metadata = owned(platform, app.id(), Some(app.id()));
    metadata.labels.get_or_insert_default().insert("app.kubernetes.io/version".to_owned(), version_label(platform));
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            // An autoscaler owns the number where there is one.
            replicas: match service.scale {
                Scale::Fixed(replicas) => Some(replicas),
                Scale::Auto { .. } => None,
            },
            selector: labels::label_selector(app.id()),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            revision_history_limit: Some(5),
            template: template(platform, service),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// A label takes no `+`, which versions may have, and 63 characters.
fn version_label(platform: &Resolved) -> String {
    platform.version.replace('+', "_").chars().take(63).collect()
}

fn template(platform: &Resolved, service: &Service) -> PodTemplateSpec {
    let app = service.app;
    let mut annotations = dapr::annotations::build(platform, app);
    annotations.extend(hash::of_app(platform, app));
    PodTemplateSpec {
        metadata: Some(metadata(&service.pod, labels::pod(&platform.name, app.id()), annotations)),
        spec: Some(PodSpec {
            service_account_name: Some(app.id().to_owned()),
            // The sidecar reads Secrets with the pod's account.
            automount_service_account_token: Some(app.has_backing_services()),
            // Variables that Kubernetes makes of the namespace's Services are nothing that the app should see.
            enable_service_links: Some(false),
            image_pull_secrets: pull_secrets(platform),
            security_context: Some(security(USER)),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            // First, so that it is what `kubectl logs` and `exec` mean.
            containers: vec![container(platform, service)],
            volumes: Some(vec![scratch("tmp", "64Mi")]),
            node_selector: some_map(service.node_selector.clone()),
            tolerations: some_list(service.tolerations.clone()),
            affinity: service.affinity.clone(),
            priority_class_name: service.priority_class.clone(),
            topology_spread_constraints: Some(spread(app)),
            ..PodSpec::default()
        }),
    }
}

/// Over nodes and zones where that is possible; a full node is no reason not to start.
fn spread(app: App) -> Vec<TopologySpreadConstraint> {
    ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        .map(|key| TopologySpreadConstraint {
            topology_key: key.to_owned(),
            max_skew: 1,
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(labels::label_selector(app.id())),
            ..TopologySpreadConstraint::default()
        })
        .to_vec()
}

fn container(platform: &Resolved, service: &Service) -> Container {
    let app = service.app;
    let port = |name: &str, number: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        name: app.container().to_owned(),
        image: Some(service.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        ports: Some(vec![port("http", app.port()), port(MANAGEMENT, MANAGEMENT_PORT)]),
        env: Some(env::build(platform, app)),
        resources: resources(&service.resources),
        liveness_probe: Some(http_probe("/livez", MANAGEMENT, Timing { period: 10, timeout: 3, failures: 3 })),
        readiness_probe: Some(http_probe("/readyz", MANAGEMENT, Timing { period: 5, timeout: 3, failures: 2 })),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: DRAIN_SECONDS }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![mount("tmp", "/tmp")]),
        ..Container::default()
    }
}
