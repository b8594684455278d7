//! The `TodoPlatform` resource: a whole todo system in one namespace.
//!
//! What is absent has no default in the schema: such a default is stored with each object when it is created, and could
//! never change for it again. The operator fills in what is absent each time it looks (`resolve::defaults` there).
//!
//! Wrong values are refused by the schema where it can say what to write, and else by rules in CEL that do ([`rules`]).

// `KubeSchema` copies each struct, `pub` included, into the body of a function.
#![allow(unreachable_pub)]

mod ai;
pub mod condition;
mod dapr;
mod ingress;
mod kafka;
mod monitoring;
mod notifications;
mod postgres;
mod resources;
mod rules;
mod schema;
mod secret;
mod services;
mod spec;
mod status;

pub use ai::AiSpec;
pub use dapr::{DaprSpec, LogLevel, TracingSpec};
pub use ingress::{GatewaySpec, IngressSpec};
pub use kafka::{
    DEFAULT_BROKERS, DEFAULT_PARTITIONS, ExternalKafkaSpec, KafkaAuthSpec, KafkaSpec, KafkaTlsSpec, MtlsSpec,
    PlainSpec, REDUNDANT_BROKERS, ScramMechanism, ScramSpec, StrimziSpec, TopicsSpec,
};
pub use monitoring::{DashboardSpec, MonitoringSpec, PrometheusRuleSpec, ServiceMonitorSpec};
pub use notifications::{
    DEFAULT_OUTBOUND_PORT, EmailSpec, NotificationsSpec, NtfySpec, SmtpSpec, SmtpTls, WebPushSpec, WebhooksSpec,
};
pub use postgres::{CloudNativePgSpec, ExternalPostgresSpec, PostgresSpec};
pub use resources::{EMBEDDED_STORAGE_SIZE, EmbeddedSpec, MANAGED_STORAGE_SIZE, Resources, StorageSpec};
pub use schema::crd;
pub use secret::{SecretKeySelector, SecretValue};
pub use services::{
    ALLOWED_HOSTS, AutoscalingSpec, EnvVar, RESERVED_ENV, RESERVED_ENV_LATER, ServiceSpec, ServicesSpec,
};
pub use spec::{
    AuthMode, AuthSpec, DeletionPolicy, LocalObjectReference, NetworkPolicySpec, ReminderMode, RemindersSpec,
    StateStoreSpec, StateStoreVersion, TodoPlatform, TodoPlatformSpec,
};
pub use status::{ComponentStatus, OwnershipConflict, ServiceStatus, TodoPlatformStatus};
