//! From [`Resolved`] to every object that a platform consists of. Nothing here reads a cluster, a clock or chance: the
//! same platform gives the same objects, byte for byte, in every pass and every release of the operator.
//!
//! Nothing empty is ever written (no null, no empty text, list or map): with server-side apply that would claim a field
//! for nothing, and the API server drops some of them, so that every later comparison would find a difference.

pub mod app;
mod cloud_native_pg;
pub mod dapr;
pub mod exposure;
mod hash;
pub mod kafka;
pub mod monitoring;
mod network;
pub mod pod;
pub mod postgres;
mod pvc;
pub mod secrets;
mod service;
mod strimzi;
pub(crate) mod web_push;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::{ApiResource, DynamicObject, TypeMeta},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    labels,
    names::{self, App},
    resolve::{KafkaMode, PostgresMode, Resolved},
};
pub use secrets::required_secrets;

/// Everything a platform consists of, in apply order.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The objects, by wave and within it in a fixed order.
    pub objects: Vec<Object>,
}

/// One object to apply.
#[derive(Clone, Debug)]
pub struct Object {
    /// When it is applied.
    pub wave: Wave,
    /// How it is written, and when it may be removed.
    pub policy: Policy,
    /// The object itself. Its owner reference is here if it has one.
    pub body: DynamicObject,
    /// Its kind, for the API.
    pub resource: ApiResource,
}

/// Order of applying: each wave needs what the ones before it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// Accounts, roles, Secrets that we make, ConfigMaps, volume claims, network policies, disruption budgets.
    Foundation,
    /// Embedded Kafka and PostgreSQL.
    Infrastructure,
    /// What the sidecars read when they start, so before them.
    Dapr,
    /// The services.
    Workload,
}

/// How an object is written, and when it may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Server-side apply. It goes with the resource if it has an owner reference, and is pruned when it is no longer desired,
    /// unless its kind is one of [`DATA_KINDS`].
    Apply,
    /// Created if absent, its data never overwritten: a Secret with a value that exists nowhere else. Of one that bears
    /// our label, labels and owner references follow the body (so that `deletionPolicy` can be changed); one that
    /// somebody else made is left as it is. Never pruned.
    CreateOnce,
}

impl Object {
    /// Makes an object of a typed one.
    fn of<K>(wave: Wave, policy: Policy, object: &K) -> Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let types = TypeMeta::resource::<K>();
        let metadata = object.meta().clone();
        // Serialising our own structs of texts, numbers and maps with text keys cannot fail.
        let mut data = serde_json::to_value(object).unwrap_or_default();
        if let Value::Object(fields) = &mut data {
            for key in ["apiVersion", "kind", "metadata"] {
                fields.remove(key);
            }
        }
        Self {
            wave,
            policy,
            body: DynamicObject { types: Some(types), metadata, data },
            resource: ApiResource::erase::<K>(&()),
        }
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        self.body.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether `deletionPolicy` says if it goes with the platform.
    pub fn is_data(&self) -> bool {
        let is_kept = self.policy == Policy::CreateOnce && self.name() != names::APP_TOKEN_SECRET;
        is_kept || DATA_KINDS.contains(&self.resource.kind.as_str())
    }
}

/// All objects of a platform.
pub fn desired(platform: &Resolved) -> Desired {
    let mut objects = Vec::new();
    objects.extend(secrets::objects(platform));
    objects.extend(dapr::objects(platform));
    objects.extend(network::objects(platform));
    match &platform.kafka.mode {
        KafkaMode::Embedded(storage) => objects.extend(kafka::objects(platform, storage)),
        KafkaMode::Strimzi(strimzi) => objects.extend(strimzi::objects(platform, strimzi)),
        KafkaMode::External(_) => {}
    }
    match &platform.postgres.mode {
        PostgresMode::Embedded(storage) => objects.extend(postgres::objects(platform, storage)),
        PostgresMode::CloudNativePg(postgres) => objects.push(cloud_native_pg::object(platform, postgres)),
        PostgresMode::External { .. } => {}
    }
    for app in App::ALL {
        objects.extend(app::objects(platform, app));
    }
    objects.extend(exposure::object(platform));
    objects.extend(monitoring::objects(platform));
    // Stable: within a wave the order above stays.
    objects.sort_by_key(|object| object.wave);
    Desired { objects }
}

/// Metadata of an object that goes with the platform. `component` as for [`labels::object`].
fn owned(platform: &Resolved, name: &str, component: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        owner_references: platform.owner.clone().map(|owner| vec![owner]),
        ..unowned(platform, name, component)
    }
}

/// Metadata of an object that stays when the platform goes.
fn unowned(platform: &Resolved, name: &str, component: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(platform.namespace.clone()),
        labels: Some(labels::object(&platform.name, component)),
        ..ObjectMeta::default()
    }
}

/// Kinds whose objects are data, or have data that goes with them. They are never pruned, and the operator has no right to
/// delete one.
pub const DATA_KINDS: [&str; 6] =
    ["Cluster", "Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "PersistentVolumeClaim"];

/// [`unowned`] or [`owned`], by what `deletionPolicy` says about data.
fn data_metadata(platform: &Resolved, name: &str, component: Option<&str>) -> ObjectMeta {
    if platform.retain_data { unowned(platform, name, component) } else { owned(platform, name, component) }
}
