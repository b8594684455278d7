//! Somebody else's Kafka that speaks TLS only, with an authority of its own.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Pod, Secret, Service},
};
use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use todo_e2e::harness::{Namespace, Platform, until};

use crate::shared;

const TOLD: Duration = Duration::from_secs(40);
const SCRAM: u16 = 9095;
const ANYBODY: u16 = 9096;
const PASSWORD: &str = "a-password-of-theirs";

/// Formatting again does no harm: what it made stays when the container is started anew.
const START: &str = r#"
set -eu
cd /opt/kafka/bin
./kafka-storage.sh format --ignore-formatted --cluster-id 4L6g3nShT-eMCtK--X86sw \
  --config /etc/broker/server.properties --add-scram "SCRAM-SHA-512=[name=\"todo\",password=\"$PASSWORD\"]"
exec ./kafka-server-start.sh /etc/broker/server.properties
"#;

/// Nothing but this pod reaches the listeners without TLS. Topics are made for whoever asks for them, as many brokers do.
const SETTINGS: &str = "
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
controller.listener.names=CONTROLLER
listeners=SASL_SSL://:9095,SSL://:9096,LOCAL://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093
advertised.listeners=SASL_SSL://HOST:9095,SSL://HOST:9096,LOCAL://127.0.0.1:9094
listener.security.protocol.map=SASL_SSL:SASL_SSL,SSL:SSL,LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=LOCAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=/etc/broker/keystore.pem
log.dirs=/tmp/data
auto.create.topics.enable=true
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
";

#[tokio::test]
async fn a_broker_with_an_authority_of_its_own_is_used_once_the_right_one_is_named() {
    Namespace::with("encrypted", async |namespace| {
        let host = format!("broker.{}.svc", namespace.name);
        let (right, authority) = authority("the right one")?;
        let (wrong, _) = self::authority("another one")?;
        start_broker(&namespace, &host, keystore(&host, &right, &authority)?).await?;
        let access = async |authority: &str, password: &str| {
            let values = json!({"user": "todo", "pass": password, "ca.crt": authority});
            apply::<Secret>(&namespace, "access", json!({"stringData": values})).await
        };
        access(&wrong, "not-the-password").await?;

        let of = |key: &str| json!({"secretKeyRef": {"name": "access", "key": key}});
        let scram = json!({"mechanism": "SCRAM-SHA-512", "username": of("user"), "password": of("pass")});
        let spec = |port: u16, more: Value| {
            let mut external = json!({"brokers": [format!("{host}:{port}")], "tls": {"caCertificate": of("ca.crt")}});
            external.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"kafka": {"external": external}, "services": {"backend": {"replicas": 1}}})
        };
        let with_password = spec(SCRAM, json!({"auth": {"scram": scram}}));
        let platform = Platform::apply(&namespace, "todo", with_password).await?;
        until("the broker runs", Platform::READY, async || {
            let pod = namespace.api::<Pod>().get("broker").await?;
            let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
            Ok(conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True").then_some(()))
        })
        .await?;
        is_refused_for(&platform, "Secret access key ca.crt has not signed").await?;
        access(&right, "not-the-password").await?;
        is_refused_for(&platform, "with the password in Secret access key pass").await?;

        access(&right, PASSWORD).await?;
        platform.wait("Ready", "True", Platform::READY).await?;
        events_go_through(&platform, "ada").await?;

        Platform::apply(&namespace, "todo", spec(ANYBODY, json!({}))).await?;
        platform.wait("Progressing", "False", Platform::READY).await?;
        platform.wait("Ready", "True", Platform::READY).await?;
        events_go_through(&platform, "bob").await
    })
    .await;
}

/// The platform says what has to be put right.
async fn is_refused_for(platform: &Platform, words: &str) -> anyhow::Result<()> {
    let refused = until(words, TOLD, async || {
        let condition = platform.condition("InfrastructureReady").await?;
        Ok(condition.filter(|one| one.status == "False" && one.message.contains(words)))
    })
    .await?;
    assert_eq!(refused.reason, "KafkaUnreachable", "{}", refused.message);
    assert_eq!(platform.condition("Ready").await?.map(|one| one.status).as_deref(), Some("False"));
    Ok(())
}

async fn events_go_through(platform: &Platform, user: &str) -> anyhow::Result<()> {
    let page = platform.page().await?;
    shared::complete_a_daily_task(&page, user).await?;
    let is_there = async || Ok((shared::tasks(&page, user).await?.len() == 2).then_some(()));
    until("an event made the next task", TOLD, is_there).await
}

/// An authority's certificate, and what it signs with.
fn authority(name: &str) -> anyhow::Result<(String, Issuer<'static, KeyPair>)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), Issuer::new(params, key)))
}

/// The broker's key and certificates, as Kafka reads them.
fn keystore(host: &str, of_authority: &str, authority: &Issuer<'static, KeyPair>) -> anyhow::Result<String> {
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "broker");
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok([key.serialize_pem(), certificate.pem(), of_authority.to_owned()].join("\n"))
}

async fn start_broker(namespace: &Namespace, host: &str, keystore: String) -> anyhow::Result<()> {
    let settings = SETTINGS.replace("HOST", host);
    let files =
        BTreeMap::from([("server.properties", settings), ("keystore.pem", keystore), ("start.sh", START.to_owned())]);
    apply::<Secret>(namespace, "broker-files", json!({"stringData": files})).await?;
    let ports = json!([{"name": "scram", "port": SCRAM}, {"name": "anybody", "port": ANYBODY}]);
    let selector = json!({"app": "broker"});
    apply::<Service>(namespace, "broker", json!({"spec": {"selector": selector, "ports": ports}})).await?;
    let container = json!({
        "name": "kafka",
        "image": "apache/kafka:4.0.0",
        "command": ["bash", "/etc/broker/start.sh"],
        "env": [
            {"name": "KAFKA_HEAP_OPTS", "value": "-Xms128m -Xmx384m"},
            {"name": "EXTRA_ARGS", "value": "-name kafkaServer"},
            {"name": "LOG_DIR", "value": "/tmp/logs"},
            {"name": "PASSWORD", "value": PASSWORD},
        ],
        "readinessProbe": {"tcpSocket": {"port": SCRAM}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "files", "mountPath": "/etc/broker"}, {"name": "tmp", "mountPath": "/tmp"}],
    });
    let security = json!({"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}});
    let volumes = json!([{"name": "files", "secret": {"secretName": "broker-files"}}, {"name": "tmp", "emptyDir": {}}]);
    let spec = json!({
        "containers": [container], "securityContext": security, "volumes": volumes, "enableServiceLinks": false,
        "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
    });
    apply::<Pod>(namespace, "broker", json!({"metadata": {"labels": selector}, "spec": spec})).await
}

/// Makes or changes an object of a kind.
async fn apply<K>(namespace: &Namespace, name: &str, mut object: Value) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    object["metadata"]["name"] = json!(name);
    namespace.api::<K>().patch(name, &PatchParams::apply("somebody-else").force(), &Patch::Apply(object)).await?;
    Ok(())
}
