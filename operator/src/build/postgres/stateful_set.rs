//! StatefulSet of embedded PostgreSQL.

use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetSpec},
    core::v1::{Container, ContainerPort, EnvVar, ExecAction, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec},
};

use super::config_map;
use crate::{
    build::{
        hash, owned,
        pod::{
            Timing, claim_volume, config_volume, container_security, env, env_secret, exec_probe, metadata, mount,
            mount_read_only, pull_secrets, resources, scratch, security, texts,
        },
    },
    labels, names,
    resolve::{Resolved, SecretRef, Storage},
};

/// User and group of the published image.
const USER: i64 = 999;
const DATA: &str = "/var/lib/postgresql/data";
/// By TCP, so that the server that runs while the database is being made does not count; with the right user, as the
/// server logs every attempt of one that it does not know.
const PROBE: [&str; 3] =
    ["bash", "-c", r#"exec pg_isready --quiet --host 127.0.0.1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB""#];

/// StatefulSet of the server.
pub(super) fn build(platform: &Resolved, storage: &Storage) -> StatefulSet {
    StatefulSet {
        metadata: owned(platform, names::POSTGRES, Some(names::POSTGRES)),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            // Otherwise a pod that cannot become ready is never replaced, not even by one that could.
            pod_management_policy: Some("Parallel".to_owned()),
            service_name: Some(names::POSTGRES.to_owned()),
            selector: labels::label_selector(names::POSTGRES),
            revision_history_limit: Some(5),
            template: PodTemplateSpec {
                metadata: Some(metadata(
                    &storage.pod,
                    labels::pod(&platform.name, names::POSTGRES),
                    hash::of_embedded(platform, names::POSTGRES, &config_map::data()),
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
        enable_service_links: Some(false),
        image_pull_secrets: pull_secrets(platform),
        security_context: Some(security(USER)),
        termination_grace_period_seconds: Some(60),
        containers: vec![container(storage)],
        volumes: Some(vec![
            config_volume("config", names::POSTGRES_CONFIG),
            claim_volume("data", names::POSTGRES_CLAIM),
            scratch("run", "16Mi"),
            scratch("tmp", "256Mi"),
        ]),
        ..PodSpec::default()
    }
}

fn container(storage: &Storage) -> Container {
    Container {
        name: names::POSTGRES.to_owned(),
        image: Some(storage.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(texts(&["bash", "/etc/todo/start.sh"])),
        ports: Some(vec![ContainerPort {
            name: Some("postgres".to_owned()),
            container_port: i32::from(names::POSTGRES_PORT),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        env: Some(environment()),
        resources: resources(&storage.resources),
        // Making the database, or replaying its log after a crash, must not be cut short.
        startup_probe: Some(exec_probe(&PROBE, Timing { period: 2, timeout: 3, failures: 300 })),
        liveness_probe: Some(exec_probe(&PROBE, Timing { period: 10, timeout: 5, failures: 6 })),
        readiness_probe: Some(exec_probe(&PROBE, Timing { period: 5, timeout: 3, failures: 2 })),
        lifecycle: Some(Lifecycle {
            // What Kubernetes sends would make the server wait until every client has gone by itself.
            pre_stop: Some(LifecycleHandler {
                exec: Some(ExecAction { command: Some(texts(&["bash", "-c", "kill -INT 1"])) }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![
            mount_read_only("config", "/etc/todo"),
            mount("data", DATA),
            mount("run", "/var/run/postgresql"),
            mount("tmp", "/tmp"),
        ]),
        ..Container::default()
    }
}

fn environment() -> Vec<EnvVar> {
    let secret = |name, key| env_secret(name, &SecretRef::new(names::POSTGRES_SECRET, key));
    vec![
        // A folder of its own: the top of a volume may have a lost+found, and PostgreSQL wants an empty one.
        env("PGDATA", format!("{DATA}/pgdata")),
        secret("POSTGRES_DB", names::DATABASE_KEY),
        secret("POSTGRES_PASSWORD", names::PASSWORD_KEY),
        secret("POSTGRES_USER", names::USERNAME_KEY),
    ]
}
