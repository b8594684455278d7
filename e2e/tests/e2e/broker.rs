//! Somebody else's Kafka: a broker that speaks TLS only, with an authority of its own, and asks at each of its ports in another
//! way who is there.

use std::{collections::BTreeMap, fmt::Debug};

use anyhow::Context;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Pod, Secret, Service},
};
use kube::{
    Resource,
    api::{AttachParams, Patch, PatchParams},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rskafka::client::ClientBuilder;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use todo_e2e::harness::{Forward, Namespace, Platform, until};
use tokio::io::AsyncReadExt;

/// The listeners: by SCRAM, by a password as it is, by a certificate, and not at all.
pub(crate) const SCRAM: u16 = 9095;
pub(crate) const PLAIN: u16 = 9096;
pub(crate) const CERTIFICATE: u16 = 9097;
pub(crate) const ANYBODY: u16 = 9098;
/// The password of the broker's only user, by SCRAM and as it is.
pub(crate) const PASSWORD: &str = "a-password-of-theirs";
pub(crate) const PLAIN_PASSWORD: &str = "another-password-of-theirs";

const NAME: &str = "broker";
/// Kafka's own tool for rights.
const ACLS: &str = "org.apache.kafka.tools.AclCommand";
const PARTITIONS: i32 = 3;
const CREATE_TIMEOUT_MS: i32 = 10_000;

/// Formatting again does no harm: what it made stays when the container is started anew.
const START: &str = r#"
set -eu
cd /opt/kafka/bin
./kafka-storage.sh format --ignore-formatted --cluster-id 4L6g3nShT-eMCtK--X86sw \
  --config /etc/broker/server.properties --add-scram "SCRAM-SHA-512=[name=\"todo\",password=\"$PASSWORD\"]"
exec ./kafka-server-start.sh /etc/broker/server.properties
"#;

/// Nothing but this pod reaches the listeners without TLS. There are only the topics that somebody makes.
const SETTINGS: &str = "
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
controller.listener.names=CONTROLLER
listeners=SCRAM://:9095,PLAIN://:9096,CERTIFICATE://:9097,ANYBODY://:9098,LOCAL://127.0.0.1:LOCAL_PORT,CONTROLLER://127.0.0.1:9093
advertised.listeners=SCRAM://HOST:9095,PLAIN://HOST:9096,CERTIFICATE://HOST:9097,ANYBODY://HOST:9098,LOCAL://127.0.0.1:LOCAL_PORT
listener.security.protocol.map=SCRAM:SASL_SSL,PLAIN:SASL_SSL,CERTIFICATE:SSL,ANYBODY:SSL,LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=LOCAL
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_todo=\"PLAIN_PASSWORD\";
listener.name.certificate.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=/etc/broker/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=/etc/broker/authority.pem
log.dirs=/tmp/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
";

/// Nobody may do what nobody has granted them. Whoever does not say who it is may do all: those who run the broker come so, by the
/// listener that only its pod reaches, and so does the broker itself.
const RIGHTS: &str = "
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
";

/// Who signs certificates.
pub(crate) struct Authority {
    /// Its own.
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, PEM both.
pub(crate) struct Identity {
    /// With the name.
    pub(crate) certificate: String,
    /// What proves that it is one's own.
    pub(crate) key: String,
}

impl Authority {
    /// One of this name, with a certificate that it has signed itself.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        Ok(Self { certificate: params.self_signed(&key)?.pem(), issuer: Issuer::new(params, key) })
    }

    /// What this authority signs for one of this name, who is reached by these hosts.
    pub(crate) fn sign(&self, name: &str, hosts: &[&str]) -> anyhow::Result<Identity> {
        let mut params = CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The broker.
pub(crate) struct Broker {
    /// Where it is reached.
    pub(crate) host: String,
    /// A way to the listener that nothing but its pod reaches. A broker tells its clients where to go on, so it is at the same
    /// port here and there.
    local: Forward,
}

impl Broker {
    /// Makes a broker that shows what `authority` signed, and believes what it signed. It is not waited for.
    pub(crate) async fn make(namespace: &Namespace, authority: &Authority) -> anyhow::Result<Self> {
        Self::with(namespace, authority, SETTINGS).await
    }

    /// The same, but who comes with a password may do nothing until it is granted.
    pub(crate) async fn with_rights(namespace: &Namespace, authority: &Authority) -> anyhow::Result<Self> {
        Self::with(namespace, authority, &[SETTINGS, RIGHTS].concat()).await
    }

    async fn with(namespace: &Namespace, authority: &Authority, settings: &str) -> anyhow::Result<Self> {
        let host = format!("{NAME}.{}.svc", namespace.name);
        let local = Forward::to_same_port(&namespace.env.client, &namespace.name, NAME).await?;
        let settings = settings
            .replace("HOST", &host)
            .replace("LOCAL_PORT", &local.address().port().to_string())
            .replace("PLAIN_PASSWORD", PLAIN_PASSWORD);
        let identity = authority.sign(NAME, &[&host])?;
        // As Kafka reads them.
        let keystore = [&*identity.key, &identity.certificate, &authority.certificate].join("\n");
        let files = BTreeMap::from([
            ("server.properties", settings),
            ("keystore.pem", keystore),
            ("authority.pem", authority.certificate.clone()),
            ("start.sh", START.to_owned()),
        ]);
        apply::<Secret>(namespace, "broker-files", json!({"stringData": files})).await?;
        let ports = [("scram", SCRAM), ("plain", PLAIN), ("certificate", CERTIFICATE), ("anybody", ANYBODY)];
        let ports = ports.map(|(name, port)| json!({"name": name, "port": port}));
        let selector = json!({"app": NAME});
        apply::<Service>(namespace, NAME, json!({"spec": {"selector": selector, "ports": ports}})).await?;
        apply::<Pod>(namespace, NAME, json!({"metadata": {"labels": selector}, "spec": pod()})).await?;
        Ok(Self { host, local })
    }

    /// Grants the user an operation on what `on` names as Kafka's own tool does, for example `--topic x`.
    pub(crate) async fn grant(&self, namespace: &Namespace, operation: &str, on: &[&str]) -> anyhow::Result<()> {
        let address = format!("127.0.0.1:{}", self.local.address().port());
        // Its errors are not for the other stream, which nobody reads.
        let whole = ["sh", "-c", "exec \"$0\" \"$@\" 2>&1", "/opt/kafka/bin/kafka-run-class.sh", ACLS];
        let fixed =
            ["--bootstrap-server", &address, "--add", "--allow-principal", "User:todo", "--operation", operation];
        let command: Vec<&str> = whole.iter().chain(&fixed).chain(on).copied().collect();
        let output = AttachParams::default().stderr(false);
        let mut process = namespace.api::<Pod>().exec(NAME, command, &output).await?;
        let mut said = String::new();
        process.stdout().context("no output")?.read_to_string(&mut said).await?;
        let status = process.take_status().context("no status")?.await;
        let is_done = status.is_some_and(|status| status.status.as_deref() == Some("Success"));
        anyhow::ensure!(is_done, "{operation} on {on:?} is not granted: {said}");
        Ok(())
    }

    /// Waits until it is there for clients.
    pub(crate) async fn runs(&self, namespace: &Namespace) -> anyhow::Result<()> {
        until("the broker runs", Platform::READY, async || {
            let pod = namespace.api::<Pod>().get(NAME).await?;
            let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
            Ok(conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True").then_some(()))
        })
        .await
    }

    /// Makes topics, as those who run the broker do.
    pub(crate) async fn make_topics(&self, topics: &[&str]) -> anyhow::Result<()> {
        let kafka = ClientBuilder::new(vec![self.local.address().to_string()]).build().await?;
        let controller = kafka.controller_client()?;
        for topic in topics {
            controller.create_topic(*topic, PARTITIONS, 1, CREATE_TIMEOUT_MS).await?;
        }
        Ok(())
    }
}

fn pod() -> Value {
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
    json!({
        "containers": [container], "securityContext": security, "volumes": volumes, "enableServiceLinks": false,
        "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
    })
}

/// Makes or changes an object of a kind.
pub(crate) async fn apply<K>(namespace: &Namespace, name: &str, mut object: Value) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    object["metadata"]["name"] = json!(name);
    namespace.api::<K>().patch(name, &PatchParams::apply("somebody-else").force(), &Patch::Apply(object)).await?;
    Ok(())
}
