//! What all pods have in common: they are admitted under Pod Security `restricted`, and write nowhere but into volumes.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, EmptyDirVolumeSource, EnvVar, EnvVarSource, ExecAction, HTTPGetAction,
        LocalObjectReference, ObjectFieldSelector, PersistentVolumeClaimVolumeSource, PodSecurityContext, Probe,
        ResourceRequirements, SeccompProfile, SecretKeySelector, SecurityContext, TCPSocketAction, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use crate::resolve::{PodMetadata, Resolved, SecretRef};

/// Mode of files from ConfigMaps that are only read.
const READ_ONLY_FILE: i32 = 0o444;

/// Metadata of a pod template: what a user adds, and over it what the operator reads and selects by.
pub(super) fn metadata(
    added: &PodMetadata,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> ObjectMeta {
    let over = |added: &BTreeMap<String, String>, ours: BTreeMap<String, String>| {
        let mut all = added.clone();
        all.extend(ours);
        all
    };
    ObjectMeta {
        labels: Some(over(&added.labels, labels)),
        annotations: Some(over(&added.annotations, annotations)),
        ..ObjectMeta::default()
    }
}

/// Security of a pod whose processes run as `id`, which also owns its volumes.
pub(super) fn security(id: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(id),
        run_as_group: Some(id),
        fs_group: Some(id),
        // Walking over each file of a large volume at every start takes minutes; only a wrong owner at its top needs it.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

/// Security of a container.
pub(super) fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// A variable with a fixed value.
pub(super) fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A variable whose value is in a Secret.
pub(super) fn env_secret(name: &str, secret: &SecretRef) -> EnvVar {
    let selector = SecretKeySelector { name: secret.name.clone(), key: secret.key.clone(), optional: None };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() }),
    }
}

/// A variable whose value is a field of the pod.
pub(super) fn env_field(name: &str, path: &str) -> EnvVar {
    // The API server would fill the version in; written, it is no difference.
    let field = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
    }
}

/// A probe that asks for a path on the named port.
pub(super) fn http_probe(path: &str, port: &str, timing: Timing) -> Probe {
    let http_get = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::String(port.to_owned()),
        ..HTTPGetAction::default()
    };
    Probe { http_get: Some(http_get), ..timing.probe() }
}

/// A probe that opens a connection to the named port.
pub(super) fn tcp_probe(port: &str, timing: Timing) -> Probe {
    let tcp_socket = TCPSocketAction { port: IntOrString::String(port.to_owned()), ..TCPSocketAction::default() };
    Probe { tcp_socket: Some(tcp_socket), ..timing.probe() }
}

/// A probe that runs a command in the container.
pub(super) fn exec_probe(command: &[&str], timing: Timing) -> Probe {
    Probe { exec: Some(ExecAction { command: Some(texts(command)) }), ..timing.probe() }
}

/// When a probe runs and when its result counts.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    /// Seconds between two runs.
    pub period: i32,
    /// Seconds that one may take.
    pub timeout: i32,
    /// Failures in a row that count.
    pub failures: i32,
}

impl Timing {
    fn probe(self) -> Probe {
        Probe {
            period_seconds: Some(self.period),
            timeout_seconds: Some(self.timeout),
            failure_threshold: Some(self.failures),
            ..Probe::default()
        }
    }
}

/// An empty folder for the life of the pod.
pub(super) fn scratch(name: &str, limit: &str) -> Volume {
    let size_limit = Some(Quantity(limit.to_owned()));
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit, ..EmptyDirVolumeSource::default() }),
        ..Volume::default()
    }
}

/// The files of a `ConfigMap`.
pub(super) fn config_volume(name: &str, config_map: &str) -> Volume {
    let source = ConfigMapVolumeSource {
        name: config_map.to_owned(),
        default_mode: Some(READ_ONLY_FILE),
        ..ConfigMapVolumeSource::default()
    };
    Volume { name: name.to_owned(), config_map: Some(source), ..Volume::default() }
}

/// A data volume.
pub(super) fn claim_volume(name: &str, claim: &str) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name: claim.to_owned(), ..Default::default() };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// Where a volume is seen.
pub(super) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// Where a volume is seen that is only read.
pub(super) fn mount_read_only(name: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(name, path) }
}

/// Secrets for pulling images; `None` when there are none.
pub(super) fn pull_secrets(platform: &Resolved) -> Option<Vec<LocalObjectReference>> {
    let secrets: Vec<_> =
        platform.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    some_list(secrets)
}

/// `None` instead of resources that say nothing.
pub(super) fn resources(resources: &ResourceRequirements) -> Option<ResourceRequirements> {
    (resources != &ResourceRequirements::default()).then(|| resources.clone())
}

/// `None` instead of an empty list.
pub(super) fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// `None` instead of an empty map.
pub(super) fn some_map<V>(map: BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    (!map.is_empty()).then_some(map)
}

/// A list of owned texts.
pub(super) fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}
