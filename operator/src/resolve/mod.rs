//! From a `TodoPlatform` and what was read of the cluster to [`Resolved`]: everything the builders need, with every
//! default filled in. After [`validate()`] nobody looks at the resource again.

mod affinity;
mod check;
mod checks;
mod cidr;
mod container;
pub mod defaults;
mod kafka;
mod monitoring;
mod notifications;
mod platform;
mod postgres;
pub(crate) mod quantity;
mod schedule;
#[cfg(test)]
mod schema_tests;
mod secret;
mod services;
mod settings;
mod storage;
pub mod validate;

pub use checks::Violation;
pub use cidr::Cidr;
pub use container::PodMetadata;
pub use kafka::{Account, ExternalKafka, Kafka, KafkaAuth, KafkaMode, KafkaTls, SaslMechanism, Strimzi};
pub use monitoring::{Monitoring, Scrape};
pub use notifications::{Notifications, Outbound, Smtp, WebPush};
pub use platform::{Ai, Dapr, Exposure, NetworkPolicy, Reminders, Resolved, StateStore, Tracing};
pub use postgres::{CloudNativePg, Postgres, PostgresMode};
pub use secret::{Maker, SecretKey, SecretRef, Sensitive, short_hash};
pub use services::{Scale, Service};
pub use settings::{Found, GeneratedSecrets, Settings};
pub use storage::{ManagedStorage, Storage};
pub use validate::validate;
