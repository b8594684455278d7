//! The four services.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration};
use todo_crds::platform as api;

use super::{
    PodMetadata, Settings, affinity, check,
    checks::Checks,
    container::{pod_metadata, resources},
    defaults,
};
use crate::names::App;

/// Most pods of a service.
const MOST_REPLICAS: i64 = 100;

/// Settings of one service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Which one.
    pub app: App,
    /// Full reference of its image.
    pub image: String,
    /// How many pods.
    pub scale: Scale,
    /// Resources of the app's container.
    pub resources: ResourceRequirements,
    /// What a user adds to the environment.
    pub env: BTreeMap<String, String>,
    /// What a user adds to its pods.
    pub pod: PodMetadata,
    /// Nodes that it may run on.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Affinity.
    pub affinity: Option<Affinity>,
    /// Priority class.
    pub priority_class: Option<String>,
}

/// How many pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scale {
    /// So many.
    Fixed(i32),
    /// As an autoscaler finds.
    Auto {
        /// At least.
        min: i32,
        /// At most.
        max: i32,
        /// Share of the requested CPU that it aims at, in percent.
        cpu_percent: i32,
    },
}

impl Scale {
    /// The least number of pods there should be.
    pub const fn min(&self) -> i32 {
        match self {
            Self::Fixed(n) => *n,
            Self::Auto { min, .. } => *min,
        }
    }
}

/// Settings of all services, in the order of [`App::ALL`].
pub(super) fn all(
    checks: &mut Checks,
    spec: Option<&api::ServicesSpec>,
    settings: &Settings,
    version: &str,
) -> Vec<Service> {
    let spec = spec.cloned().unwrap_or_default();
    App::ALL
        .map(|app| {
            let own = match app {
                App::Backend => &spec.backend,
                App::Notification => &spec.notification,
                App::RecurringTask => &spec.recurring_task,
                App::Frontend => &spec.frontend,
            };
            service(checks, app, own.clone().unwrap_or_default(), settings, version)
        })
        .to_vec()
}

fn service(checks: &mut Checks, app: App, spec: api::ServiceSpec, settings: &Settings, version: &str) -> Service {
    let path = format!("spec.services.{}", app.field());
    if let Some(image) = &spec.image {
        checks.test(&format!("{path}.image"), check::image(image));
    }
    for key in spec.node_selector.keys() {
        checks.test(&format!("{path}.nodeSelector"), check::key(key));
    }
    for (index, toleration) in spec.tolerations.iter().enumerate() {
        checks.test(&format!("{path}.tolerations[{index}]"), check::toleration(toleration));
    }
    if let Some(affinity) = &spec.affinity
        && let Err((field, message)) = affinity::check(affinity)
    {
        checks.refuse(format!("{path}.affinity{field}"), message);
    }
    let resources =
        resources(checks, &format!("{path}.resources"), spec.resources.as_ref(), defaults::service_resources(app));
    let scale = scale(checks, &path, app, &spec);
    if matches!(scale, Scale::Auto { .. }) && !has_cpu(&resources) {
        let message = "has no request of CPU, a share of which autoscaling aims at; write requests: {cpu: 100m}";
        checks.refuse(format!("{path}.resources"), message);
    }
    Service {
        app,
        image: spec.image.unwrap_or_else(|| format!("{}/{}:{version}", settings.image_registry, app.image())),
        scale,
        resources,
        env: environment(checks, &path, app, spec.env),
        pod: pod_metadata(checks, &path, spec.pod_annotations, spec.pod_labels),
        node_selector: spec.node_selector,
        tolerations: spec.tolerations,
        affinity: spec.affinity,
        priority_class: spec.priority_class_name,
    }
}

fn scale(checks: &mut Checks, path: &str, app: App, spec: &api::ServiceSpec) -> Scale {
    checks.at_most_one(path, &[("replicas", spec.replicas.is_some()), ("autoscaling", spec.autoscaling.is_some())]);
    let mut in_range = |field: &str, value: i32| {
        checks.take(&format!("{path}.{field}"), check::number(i64::from(value), 1, MOST_REPLICAS));
    };
    let default = defaults::replicas(app);
    let Some(auto) = &spec.autoscaling else {
        let replicas = spec.replicas.unwrap_or(default);
        in_range("replicas", replicas);
        return Scale::Fixed(replicas);
    };
    let max = auto.max_replicas;
    // A default never makes a platform invalid.
    let min = auto.min_replicas.unwrap_or_else(|| default.min(max));
    let cpu_percent = auto.cpu_percent.unwrap_or(defaults::CPU_PERCENT);
    in_range("autoscaling.minReplicas", min);
    in_range("autoscaling.maxReplicas", max);
    in_range("autoscaling.cpuPercent", cpu_percent);
    if min > max {
        checks.refuse(
            format!("{path}.autoscaling"),
            "has a minReplicas above maxReplicas; write one that is at most that",
        );
    }
    Scale::Auto { min, max, cpu_percent }
}

fn environment(checks: &mut Checks, path: &str, app: App, env: Vec<api::EnvVar>) -> BTreeMap<String, String> {
    let mut names = BTreeSet::new();
    for (index, variable) in env.iter().enumerate() {
        checks.test(&format!("{path}.env[{index}].name"), check::env_name(&variable.name));
        if variable.value.is_empty() {
            checks.refuse(format!("{path}.env[{index}].value"), "is empty; write a value, or leave the variable out");
        }
        if app == App::Frontend && variable.name == api::ALLOWED_HOSTS {
            checks.test(&format!("{path}.env[{index}].value"), check::allowed_hosts(&variable.value));
        }
        if !names.insert(&variable.name) {
            checks.refuse(
                format!("{path}.env[{index}].name"),
                format!("{} is there twice; write it once", variable.name),
            );
        }
    }
    env.into_iter().map(|variable| (variable.name, variable.value)).collect()
}

/// A limit without a request is the request too.
fn has_cpu(resources: &ResourceRequirements) -> bool {
    resources.requests.iter().chain(&resources.limits).any(|list| list.contains_key("cpu"))
}
