//! StatefulSet of embedded Kafka.

use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetSpec},
    core::v1::{Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec},
};
use sha2::{Digest, Sha256};

use super::config_map;
use crate::{
    build::{
        hash, owned,
        pod::{
            Timing, claim_volume, config_volume, container_security, env, env_secret, metadata, mount, mount_read_only,
            pull_secrets, resources, scratch, security, tcp_probe, texts,
        },
    },
    labels, names,
    resolve::{Resolved, SecretRef, Storage},
};

/// User and group of the published image.
const USER: i64 = 1000;
const DATA: &str = "/var/lib/kafka/data";
const PORT: &str = "kafka";

/// StatefulSet of the broker.
pub(super) fn build(platform: &Resolved, storage: &Storage) -> StatefulSet {
    StatefulSet {
        metadata: owned(platform, names::KAFKA, Some(names::KAFKA)),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            // Otherwise a pod that cannot become ready is never replaced, not even by one that could.
            pod_management_policy: Some("Parallel".to_owned()),
            service_name: Some(names::KAFKA.to_owned()),
            selector: labels::label_selector(names::KAFKA),
            revision_history_limit: Some(5),
            template: PodTemplateSpec {
                metadata: Some(metadata(
                    &storage.pod,
                    labels::pod(&platform.name, names::KAFKA),
                    hash::of_embedded(platform, names::KAFKA, &config_map::data(platform)),
                )),
                spec: Some(pod(platform, storage)),
            },
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn pod(platform: &Resolved, storage: &Storage) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        // Kubernetes would make variables such as KAFKA_PORT of the Service, which the image takes for settings.
        enable_service_links: Some(false),
        image_pull_secrets: pull_secrets(platform),
        security_context: Some(security(USER)),
        termination_grace_period_seconds: Some(60),
        init_containers: Some(vec![Container {
            name: "format".to_owned(),
            command: Some(texts(&["bash", "/etc/todo/format.sh"])),
            ..base(platform, storage)
        }]),
        containers: vec![Container {
            name: names::KAFKA.to_owned(),
            command: Some(texts(&["bash", "/etc/todo/start.sh"])),
            ports: Some(vec![ContainerPort {
                name: Some(PORT.to_owned()),
                container_port: i32::from(names::KAFKA_PORT),
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }]),
            startup_probe: Some(tcp_probe(PORT, Timing { period: 2, timeout: 2, failures: 150 })),
            liveness_probe: Some(tcp_probe(PORT, Timing { period: 10, timeout: 5, failures: 6 })),
            readiness_probe: Some(tcp_probe(PORT, Timing { period: 5, timeout: 3, failures: 2 })),
            ..base(platform, storage)
        }],
        volumes: Some(vec![
            config_volume("config", names::KAFKA_CONFIG),
            claim_volume("data", names::KAFKA_CLAIM),
            scratch("tmp", "256Mi"),
        ]),
        ..PodSpec::default()
    }
}

fn base(platform: &Resolved, storage: &Storage) -> Container {
    Container {
        image: Some(storage.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        env: Some(environment(platform)),
        resources: resources(&storage.resources),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![mount_read_only("config", "/etc/todo"), mount("data", DATA), mount("tmp", "/tmp")]),
        ..Container::default()
    }
}

fn environment(platform: &Resolved) -> Vec<EnvVar> {
    let username = SecretRef::new(names::KAFKA_USERNAME_SECRET, names::USERNAME_KEY);
    let password = SecretRef::new(names::KAFKA_PASSWORD_SECRET, names::PASSWORD_KEY);
    vec![
        // Without the file for garbage collection that the start script asks for by default.
        env("EXTRA_ARGS", "-name kafkaServer"),
        env("KAFKA_CLUSTER_ID", cluster_id(&platform.namespace, &platform.name)),
        env("KAFKA_DATA", DATA),
        env("KAFKA_HEAP_OPTS", "-Xms128m -Xmx384m"),
        env("KAFKA_LOG4J_OPTS", "-Dlog4j2.configurationFile=/etc/todo/log4j2.properties"),
        env_secret("KAFKA_PASSWORD", &password),
        env_secret("KAFKA_USERNAME", &username),
        env("LOG_DIR", "/tmp/kafka"),
    ]
}

/// 16 bytes in Kafka's spelling. Of namespace and name, not of the UID: with retained data a later platform of the same
/// name goes on with the volume, and a broker refuses one that bears another id.
fn cluster_id(namespace: &str, name: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let mut bytes: Vec<u8> = Sha256::digest(format!("{namespace}/{name}"))[..16].to_vec();
    // So that it never begins with a dash, which a command line would take for an option.
    bytes[0] &= 0b0111_1111;
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::cluster_id;

    #[test]
    fn a_cluster_id_is_stable_and_never_looks_like_an_option() {
        assert_eq!(cluster_id("todo", "todo"), cluster_id("todo", "todo"));
        assert_ne!(cluster_id("todo", "todo"), cluster_id("todo", "other"));
        for n in 0..500 {
            let id = cluster_id("todo", &format!("p{n}"));
            assert_eq!(id.len(), 22);
            assert!(!id.starts_with(['-', '_']), "{id}");
        }
    }
}
