use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};

use super::dapr_resource;

/// Timeouts, retries and circuit breakers, and what they are for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Resiliency {
    /// `apiVersion` and `kind`.
    #[serde(flatten)]
    pub types: TypeMeta,
    /// Name, namespace, labels.
    pub metadata: ObjectMeta,
    /// The policies and their targets.
    pub spec: ResiliencySpec,
    /// App ids whose sidecars load it; empty means every Dapr app of the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}
dapr_resource!(Resiliency, "resiliencies");

impl Resiliency {
    /// A resiliency object that every app would load until `scopes` is set.
    pub fn new(name: &str, spec: ResiliencySpec) -> Self {
        Self {
            types: TypeMeta::resource::<Self>(),
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            spec,
            scopes: Vec::new(),
        }
    }
}

/// Policies by name, and which target uses which.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct ResiliencySpec {
    /// Policies by name.
    pub policies: Policies,
    /// Which target uses which.
    pub targets: Targets,
}

/// Policies by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timeouts: BTreeMap<String, String>,
    /// How often and how soon it is tried again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retries: BTreeMap<String, Retry>,
    /// When no more attempts are made for a while.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub circuit_breakers: BTreeMap<String, CircuitBreaker>,
}

/// How often and how soon something is tried again.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Shape of the waits.
    pub policy: RetryPolicy,
    /// The wait between attempts, where it is constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The longest wait, where it grows (from half a second, by half each time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<String>,
    /// Attempts after the first; -1 means for ever.
    pub max_retries: i32,
}

/// Shape of the waits between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryPolicy {
    /// Always the same.
    Constant,
    /// Growing.
    Exponential,
}

/// When no more attempts are made for a while.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CircuitBreaker {
    /// Attempts that are let through while it is half open.
    pub max_requests: u32,
    /// How long it stays open.
    pub timeout: String,
    /// CEL over `consecutiveFailures`, `totalFailures`, `requests`.
    pub trip: String,
}

/// Which target uses which policies.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Targets {
    /// By component name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, ComponentTargets>,
}

/// Policies of one component, by direction.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct ComponentTargets {
    /// From the component to the app: events and ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<PolicyNames>,
    /// From the app to the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound: Option<PolicyNames>,
}

/// Names of policies of one [`ResiliencySpec`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyNames {
    /// A timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// A retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// A circuit breaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<String>,
}
