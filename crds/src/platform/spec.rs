use kube::{CustomResource, KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ai::AiSpec,
    dapr::DaprSpec,
    ingress::IngressSpec,
    kafka::{DEFAULT_BROKERS, DEFAULT_PARTITIONS, KafkaSpec, REDUNDANT_BROKERS},
    monitoring::MonitoringSpec,
    notifications::NotificationsSpec,
    postgres::PostgresSpec,
    resources::{EMBEDDED_STORAGE_SIZE, MANAGED_STORAGE_SIZE},
    rules, schema,
    services::ServicesSpec,
    status::TodoPlatformStatus,
};

/// What a platform is to be. `{}` is the whole system with embedded Kafka and PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "todoplatform.dev",
    version = "v1alpha1",
    kind = "TodoPlatform",
    plural = "todoplatforms",
    shortname = "todo",
    namespaced,
    status = "TodoPlatformStatus",
    derive = "PartialEq",
    doc = "A whole event-driven todo system in one namespace.",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("write a name of at most 63 characters; it becomes a label"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the system works."),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why, or why not."),
    printcolumn(name = "Services", type_ = "string", json_path = ".status.servicesReady", description = "Services that are ready, of all."),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", description = "Where the page is."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when it is there.")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::mode_is_immutable("kafka", "external"),
    validation = rules::mode_is_immutable("kafka", "strimzi"),
    validation = rules::mode_is_immutable("postgres", "external"),
    validation = rules::mode_is_immutable("postgres", "cloudNativePg"),
    validation = rules::storage_class_is_immutable("kafka", "embedded"),
    validation = rules::storage_class_is_immutable("kafka", "strimzi"),
    validation = rules::storage_class_is_immutable("postgres", "embedded"),
    validation = rules::storage_class_is_immutable("postgres", "cloudNativePg"),
    validation = rules::storage_only_grows("kafka", "embedded", EMBEDDED_STORAGE_SIZE),
    validation = rules::storage_only_grows("kafka", "strimzi", MANAGED_STORAGE_SIZE),
    validation = rules::storage_only_grows("postgres", "embedded", EMBEDDED_STORAGE_SIZE),
    validation = rules::storage_only_grows("postgres", "cloudNativePg", MANAGED_STORAGE_SIZE),
    validation = rules::partitions_are_immutable(DEFAULT_PARTITIONS),
    validation = rules::redundancy_is_immutable(DEFAULT_BROKERS, REDUNDANT_BROKERS)
)]
pub struct TodoPlatformSpec {
    /// Release of the bundled services' images; the operator's own if absent.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::text("[A-Za-z0-9_][A-Za-z0-9_.-]*", "write the tag of a release, for example 0.1.0"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where events go. At most one of `embedded`, `external` and `strimzi`; none means `embedded`. Which one cannot be
    /// changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSpec>,
    /// Where tasks are kept. At most one of `embedded`, `external` and `cloudNativePg`; none means `embedded`. Which one
    /// cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresSpec>,
    /// Dapr's state store, which keeps conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_store: Option<StateStoreSpec>,
    /// When reminders are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminders: Option<RemindersSpec>,
    /// By what users may be told beside the list on the page; by nothing if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<NotificationsSpec>,
    /// Access to a language model, which is passed on to the backend. The chat of this version does not use it yet: a parser
    /// of commands answers in either case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiSpec>,
    /// How people say who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// How the Dapr sidecars behave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dapr: Option<DaprSpec>,
    /// The four services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServicesSpec>,
    /// Secrets for pulling images.
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// How the page is reached from outside; not at all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSpec>,
    /// Objects for Prometheus and Grafana; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<MonitoringSpec>,
    /// Who may reach whom; as little as needed if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
    /// While true, the operator changes nothing of this platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What becomes of data when the platform is deleted, of what is embedded and of what Strimzi and CloudNativePG run for
    /// it; Retain if absent.
    #[schemars(schema_with = "schema::choice::<DeletionPolicy>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Dapr's state store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateStoreSpec {
    /// Version of Dapr's implementation; v1 if absent. They keep data in different tables, and none is moved.
    #[schemars(schema_with = "schema::choice::<StateStoreVersion>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<StateStoreVersion>,
    /// What Dapr puts before each key: `none`, `appid`, `name`, `namespace` or a text; `none` if absent. With another one
    /// later what was stored is not found any more.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = rules::text(r"([^\s|]|\|[^\s|])+", "write none, appid, name, namespace or a text without blanks and without ||"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
}

/// Version of Dapr's state store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StateStoreVersion {
    /// The one of the specification.
    #[default]
    V1,
    /// The newer one.
    V2,
}

/// When reminders are looked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemindersSpec {
    /// Five fields of cron, or six with seconds first, or `@every` and a duration; `*/5 * * * *` if absent.
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(validation = rules::schedule())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// How far ahead each look goes; 5m if absent.
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = rules::duration("1s", "24h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// How they are found, by looks on the schedule and every 15 seconds (Tick) or also by a job of Dapr's scheduler at the
    /// moment of the next one (Precise); Tick if absent.
    #[schemars(schema_with = "schema::choice::<ReminderMode>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ReminderMode>,
}

/// How reminders are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ReminderMode {
    /// By looks on the schedule, and the backend's own every 15 seconds.
    #[default]
    Tick,
    /// Also by a job of Dapr's scheduler at the moment of the next one, which is good for reminders that are set shortly
    /// before it.
    Precise,
}

/// How people say who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthSpec {
    /// Which way; disabled if absent. This version has `disabled` alone: whoever asks is believed to be the user that they
    /// name, which is for trials. `builtin`, accounts that the platform keeps itself, and `oidc`, OpenID Connect of someone
    /// else, are names for later versions.
    #[schemars(schema_with = "schema::choice::<AuthMode>")]
    #[x_kube(validation = Rule::new("self == 'disabled'")
        .message("write disabled, or leave it out; builtin and oidc are for later versions"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AuthMode>,
}

/// How people say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuthMode {
    /// By accounts that the platform keeps itself; for a later version.
    Builtin,
    /// By someone else's OpenID Connect; for a later version.
    Oidc,
    /// Not at all: whoever asks is believed. For trials.
    Disabled,
}

/// A Secret in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("a Secret"))]
    pub name: String,
}

/// Who may reach whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Whether network policies are made; they are if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What becomes of data when the platform is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes and the Secrets to them stay, and what Strimzi and CloudNativePG run goes on; a later platform of the same
    /// name takes them over.
    #[default]
    Retain,
    /// All of it goes.
    Delete,
}
