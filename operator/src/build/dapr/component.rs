//! The four components. Values are the specification's; where Dapr needs another one, the line says why.

use todo_crds::dapr::{Component, ComponentSpec, MetadataItem};

use super::backed_apps;
use crate::{
    build::{owned, secrets},
    names::{self, App},
    resolve::{KafkaAuth, KafkaMode, Resolved, SaslMechanism},
};

/// All components, by name.
pub fn all(platform: &Resolved) -> Vec<Component> {
    vec![pubsub(platform), secret_store(platform), reminder_cron(platform), state_store(platform)]
}

fn component(platform: &Resolved, name: &str, scopes: Vec<String>, spec: ComponentSpec) -> Component {
    let mut component = Component::new(name, spec);
    component.metadata = owned(platform, name, None);
    component.scopes = scopes;
    component
}

/// Connecting, and for a database creating tables, takes longer than Dapr's 5 s when both start at the same time.
fn patient(spec: ComponentSpec) -> ComponentSpec {
    ComponentSpec { init_timeout: Some("30s".to_owned()), ..spec }
}

fn pubsub(platform: &Resolved) -> Component {
    let kafka = &platform.kafka;
    let brokers = match &kafka.mode {
        KafkaMode::Embedded(_) => format!("{}:{}", names::KAFKA, names::KAFKA_PORT),
        KafkaMode::External(external) => external.brokers.join(","),
        KafkaMode::Strimzi(_) => format!("{}:{}", names::KAFKA_BOOTSTRAP, names::KAFKA_TLS_PORT),
    };
    let mut metadata = vec![
        MetadataItem::value("brokers", brokers),
        MetadataItem::value("consumerGroup", &kafka.consumer_group),
        // `authRequired` of the specification is a deprecated form of this.
        MetadataItem::value("authType", auth_type(&kafka.mode)),
    ];
    if matches!(kafka.mode, KafkaMode::Strimzi(_)) {
        metadata.push(MetadataItem::value("saslUsername", names::KAFKA_CLIENT));
    }
    for (name, reference) in secrets::kafka_credentials(platform) {
        metadata.push(MetadataItem::secret(name, &reference.name, &reference.key));
    }
    if let Some(mechanism) = sasl_mechanism(&kafka.mode) {
        metadata.push(MetadataItem::value("saslMechanism", mechanism));
    }
    if !has_tls(&kafka.mode) {
        // Dapr speaks TLS unless it is told not to.
        metadata.push(MetadataItem::value("disableTls", "true"));
    }
    metadata.push(MetadataItem::value("maxMessageBytes", kafka.max_message_bytes.to_string()));
    metadata.push(MetadataItem::value("consumeRetryInterval", &kafka.consume_retry_interval));
    // Dapr's default, newest, loses what was sent before the group read for the first time.
    metadata.push(MetadataItem::value("initialOffset", "oldest"));
    component(platform, names::PUBSUB, backed_apps(), patient(ComponentSpec::new("pubsub.kafka", "v1", metadata)))
}

/// With exactly `none` Dapr leaves out TLS and the authority's certificate without a word. It compares in small letters
/// everywhere else, so another spelling is no authentication and leaves TLS as it is.
const fn auth_type(mode: &KafkaMode) -> &'static str {
    match mode {
        KafkaMode::Embedded(_) | KafkaMode::Strimzi(_) => "password",
        KafkaMode::External(external) => match external.auth {
            KafkaAuth::None if external.tls.is_some() => "None",
            KafkaAuth::None => "none",
            KafkaAuth::Password { .. } => "password",
            KafkaAuth::Mtls { .. } => "mtls",
        },
    }
}

/// Dapr knows exactly `SHA-256` and `SHA-512` and takes every other text, the usual `SCRAM-SHA-256` included, for PLAIN:
/// the password would be sent as it is.
const fn sasl_mechanism(mode: &KafkaMode) -> Option<&'static str> {
    let mechanism = match mode {
        KafkaMode::Embedded(_) => SaslMechanism::ScramSha256,
        // The only one that Strimzi offers.
        KafkaMode::Strimzi(_) => SaslMechanism::ScramSha512,
        KafkaMode::External(external) => match external.auth {
            KafkaAuth::Password { mechanism, .. } => mechanism,
            KafkaAuth::None | KafkaAuth::Mtls { .. } => return None,
        },
    };
    Some(match mechanism {
        SaslMechanism::ScramSha256 => "SHA-256",
        SaslMechanism::ScramSha512 => "SHA-512",
        SaslMechanism::Plain => "PLAINTEXT",
    })
}

const fn has_tls(mode: &KafkaMode) -> bool {
    match mode {
        KafkaMode::Embedded(_) => false,
        KafkaMode::External(external) => external.tls.is_some(),
        KafkaMode::Strimzi(_) => true,
    }
}

fn state_store(platform: &Resolved) -> Component {
    let connection = &platform.postgres.connection_string;
    let mut metadata = vec![
        MetadataItem::secret("connectionString", &connection.name, &connection.key),
        MetadataItem::value("actorStateStore", "true"),
        // Without effect in Dapr, which wants it per request; kept because the specification has it.
        MetadataItem::value("concurrency", "first-write"),
        MetadataItem::value("keyPrefix", &platform.state_store.key_prefix),
    ];
    if platform.state_store.version == "v2" {
        // Both would call their table `state`, and v2 ends at one that v1 made, as it lacks columns.
        metadata.push(MetadataItem::value("tablePrefix", "v2_"));
    }
    let spec = ComponentSpec::new("state.postgresql", &platform.state_store.version, metadata);
    component(platform, names::STATE_STORE, vec![App::Backend.to_string()], patient(spec))
}

fn reminder_cron(platform: &Resolved) -> Component {
    let metadata = vec![
        MetadataItem::value("schedule", &platform.reminders.schedule),
        // Else Dapr asks the app by OPTIONS, once and with little patience, and stays silent if the answer is late.
        MetadataItem::value("direction", "input"),
    ];
    // One app only: the binding ticks in every sidecar that loads it.
    let scopes = vec![App::Backend.to_string()];
    component(platform, names::REMINDER_CRON, scopes, ComponentSpec::new("bindings.cron", "v1", metadata))
}

fn secret_store(platform: &Resolved) -> Component {
    // `namespace` of the specification is not a setting of this component.
    let metadata = vec![MetadataItem::value("defaultNamespace", &platform.namespace)];
    let spec = ComponentSpec::new("secretstores.kubernetes", "v1", metadata);
    component(platform, names::SECRET_STORE, backed_apps(), spec)
}
