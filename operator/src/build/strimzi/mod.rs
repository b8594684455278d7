//! Kafka that Strimzi runs: the cluster with its nodes, the topics, and the user as which the sidecars connect. Strimzi
//! makes everything else of it, the Secrets with the user's password and the authority's certificate included.
//!
//! All of it is data, with `Retain`: to Strimzi, a topic without its `KafkaTopic` is one to delete.

mod kafka;
mod node_pool;
mod topic;
mod user;

use k8s_openapi::{
    api::core::v1::{Capabilities, SeccompProfile, SecurityContext},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use todo_crds::strimzi::{CLUSTER_LABEL, ContainerTemplate, Role};

use super::{Object, Policy, Wave, data_metadata};
use crate::{
    names,
    resolve::{Resolved, Strimzi},
};

/// Everything that is asked of Strimzi.
pub(super) fn objects(platform: &Resolved, strimzi: &Strimzi) -> Vec<Object> {
    let mut objects = vec![
        Object::of(Wave::Infrastructure, Policy::Apply, &node_pool::build(platform, strimzi, Role::Controller)),
        Object::of(Wave::Infrastructure, Policy::Apply, &node_pool::build(platform, strimzi, Role::Broker)),
        Object::of(Wave::Infrastructure, Policy::Apply, &kafka::build(platform, strimzi)),
        Object::of(Wave::Infrastructure, Policy::Apply, &user::build(platform)),
    ];
    let topics = names::TOPICS.iter().map(|name| topic::build(platform, strimzi, name));
    objects.extend(topics.map(|topic| Object::of(Wave::Infrastructure, Policy::Apply, &topic)));
    objects
}

/// Metadata of something that belongs to the cluster.
fn metadata(platform: &Resolved, name: &str) -> ObjectMeta {
    let mut metadata = data_metadata(platform, name, Some(names::KAFKA));
    metadata.labels.get_or_insert_default().insert(CLUSTER_LABEL.to_owned(), names::KAFKA.to_owned());
    metadata
}

/// A container that is admitted under Pod Security `restricted`. Strimzi's own default is not, unless its operator is told
/// to. Nothing is said of the pod, as what its volumes' group has to be depends on the cluster, and Strimzi knows.
fn restricted() -> ContainerTemplate {
    ContainerTemplate {
        security_context: SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..SecurityContext::default()
        },
        env: Vec::new(),
    }
}
