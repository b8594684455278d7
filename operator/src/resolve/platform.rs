//! The platform, with every default filled in.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::apis::meta::v1::OwnerReference};

use super::{Cidr, GeneratedSecrets, Kafka, Monitoring, Notifications, Postgres, SecretRef, Service};
use crate::names::App;

/// A platform with every default filled in and every choice made.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Name of the resource.
    pub name: String,
    /// The one namespace in which everything is made.
    pub namespace: String,
    /// UID of the resource; in the services' environment, as a database belongs to one platform. All zeros when rendered
    /// without a cluster.
    pub uid: String,
    /// Owner reference for all that goes with the resource; none when rendered without a cluster.
    pub owner: Option<OwnerReference>,
    /// Release of the bundled services.
    pub version: String,
    /// Broker.
    pub kafka: Kafka,
    /// Database.
    pub postgres: Postgres,
    /// Component `statestore`.
    pub state_store: StateStore,
    /// Component `reminder-cron`.
    pub reminders: Reminders,
    /// Language model, if any.
    pub ai: Option<Ai>,
    /// Channels by which users may be told.
    pub notifications: Notifications,
    /// How the sidecars behave.
    pub dapr: Dapr,
    /// The four services, in the order of [`App::ALL`].
    pub services: Vec<Service>,
    /// Names of Secrets for pulling images.
    pub image_pull_secrets: Vec<String>,
    /// How the page is reached from outside, if it is.
    pub exposure: Option<Exposure>,
    /// What Prometheus and Grafana are to find.
    pub monitoring: Monitoring,
    /// Namespaces for the network policies, if there are any.
    pub network_policy: Option<NetworkPolicy>,
    /// Whether data outlives the resource, be it embedded or run for it by another operator.
    pub retain_data: bool,
    /// See [`Found::digests`]; complete for the Secrets that the operator makes.
    pub digests: BTreeMap<SecretRef, String>,
    /// See [`Found::generated`].
    pub generated: GeneratedSecrets,
}

impl Resolved {
    /// The settings of one service.
    pub fn service(&self, app: App) -> &Service {
        &self.services[App::ALL.iter().position(|a| *a == app).unwrap_or_default()]
    }
}

/// Settings of component `statestore`.
#[derive(Clone, Debug)]
pub struct StateStore {
    /// Version of Dapr's implementation; they keep data in different tables.
    pub version: String,
    /// What Dapr puts before each key.
    pub key_prefix: String,
}

/// Settings of component `reminder-cron`.
#[derive(Clone, Debug)]
pub struct Reminders {
    /// Five fields, or six with leading seconds, or `@every …`.
    pub schedule: String,
    /// How far ahead a tick looks.
    pub window_seconds: u64,
    /// Whether a job of Dapr's scheduler is set to the next one.
    pub precise: bool,
}

/// A language model.
#[derive(Clone, Debug)]
pub struct Ai {
    /// Where the key is.
    pub api_key: SecretRef,
    /// Where the API is; the client's default if none.
    pub base_url: Option<String>,
    /// Which model; the client's default if none.
    pub model: Option<String>,
}

/// How the sidecars behave.
#[derive(Clone, Debug)]
pub struct Dapr {
    /// Whether calls to the Dapr API are logged.
    pub api_logging: bool,
    /// Level of the sidecars' logs.
    pub log_level: String,
    /// Where spans go.
    pub tracing: Option<Tracing>,
    /// Resources of each sidecar.
    pub sidecar_resources: ResourceRequirements,
}

/// Where spans go.
#[derive(Clone, Debug)]
pub struct Tracing {
    /// URL of an OpenTelemetry collector.
    pub endpoint: String,
    /// Share of requests, between 0 and 1, as text.
    pub sampling_rate: String,
}

impl Tracing {
    /// Whether the collector takes OTLP over HTTP; over gRPC otherwise. That is what its two usual ports are for.
    pub fn takes_http(&self) -> bool {
        self.endpoint.trim_end_matches('/').ends_with(":4318")
    }
}

/// How the page is reached from outside.
#[derive(Clone, Debug)]
pub enum Exposure {
    /// By an Ingress.
    Ingress {
        /// Host name.
        host: String,
        /// Class; the cluster's default if none.
        class: Option<String>,
        /// Annotations that the ingress controller reads.
        annotations: BTreeMap<String, String>,
        /// Secret with the certificate; plain HTTP if none.
        tls_secret: Option<String>,
    },
    /// By a route of a Gateway.
    HttpRoute {
        /// Host name.
        host: String,
        /// Name of the Gateway, in the same namespace.
        gateway: String,
        /// Listener of the Gateway; all if none.
        section: Option<String>,
    },
}

impl Exposure {
    /// Host name.
    pub fn host(&self) -> &str {
        let (Self::Ingress { host, .. } | Self::HttpRoute { host, .. }) = self;
        host
    }
}

/// What the network policies need to know of the cluster.
#[derive(Clone, Debug)]
pub struct NetworkPolicy {
    /// See [`Settings::operator_namespace`].
    pub operator_namespace: String,
    /// See [`Settings::dapr_namespace`].
    pub dapr_namespace: String,
    /// See [`Settings::monitoring_namespace`].
    pub monitoring_namespace: String,
    /// See [`Settings::api_server`].
    pub api_server: Vec<Cidr>,
}
