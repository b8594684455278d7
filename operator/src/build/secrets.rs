//! Secrets: those that the operator makes, and all that something waits for.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{Object, Policy, Wave, data_metadata, owned, web_push};
use crate::{
    names::{self, App},
    resolve::{KafkaAuth, KafkaMode, Maker, PostgresMode, Resolved, SecretKey, SecretRef, short_hash},
};

/// Every key of a Secret that something of the platform needs, by name and key.
///
/// One missing Secret breaks every sidecar that has the component in scope, so no such component may be created before
/// all of its keys are there.
pub fn required_secrets(platform: &Resolved) -> Vec<SecretKey> {
    let mut keys: BTreeMap<SecretRef, SecretKey> = BTreeMap::new();
    let mut need = |reference: SecretRef, maker: Maker, used_by: &[&str]| {
        let entry = keys.entry(reference.clone()).or_insert_with(|| SecretKey {
            name: reference.name,
            key: reference.key,
            used_by: BTreeSet::new(),
            maker,
        });
        entry.used_by.extend(used_by.iter().map(|&user| user.to_owned()));
    };

    need(SecretRef::new(names::APP_TOKEN_SECRET, names::TOKEN_KEY), Maker::Operator, &App::ALL.map(App::id));

    let (maker, users): (_, &[&str]) = match platform.kafka.mode {
        KafkaMode::Embedded(_) => (Maker::Operator, &[names::PUBSUB, names::KAFKA]),
        KafkaMode::External(_) => (Maker::User, &[names::PUBSUB]),
        KafkaMode::Strimzi(_) => (Maker::Other("Strimzi"), &[names::PUBSUB]),
    };
    for (_, reference) in kafka_credentials(platform) {
        need(reference, maker, users);
    }

    // The services read it through Dapr's secret store, the state store by reference.
    let maker = match platform.postgres.mode {
        PostgresMode::Embedded(_) => Maker::Operator,
        PostgresMode::External { .. } => Maker::User,
        PostgresMode::CloudNativePg(_) => Maker::Other("CloudNativePG"),
    };
    let mut readers: Vec<&str> = App::ALL.iter().filter(|app| app.has_backing_services()).map(|app| app.id()).collect();
    readers.push(names::STATE_STORE);
    need(platform.postgres.connection_string.clone(), maker, &readers);
    if maker == Maker::Operator {
        for key in [names::USERNAME_KEY, names::PASSWORD_KEY, names::DATABASE_KEY] {
            need(SecretRef::new(names::POSTGRES_SECRET, key), maker, &[names::POSTGRES]);
        }
    }

    if let Some(ai) = &platform.ai {
        need(ai.api_key.clone(), Maker::User, &[App::Backend.id()]);
    }
    for (secret, generated) in platform.notifications.secrets() {
        need(secret, if generated { Maker::Operator } else { Maker::User }, &[App::Notification.id()]);
    }
    keys.into_values().collect()
}

/// The component settings of Kafka that are in Secrets.
pub(crate) fn kafka_credentials(platform: &Resolved) -> Vec<(&'static str, SecretRef)> {
    let mut settings = Vec::new();
    match &platform.kafka.mode {
        KafkaMode::Embedded(_) => {
            settings.push(("saslUsername", SecretRef::new(names::KAFKA_USERNAME_SECRET, names::USERNAME_KEY)));
            settings.push(("saslPassword", SecretRef::new(names::KAFKA_PASSWORD_SECRET, names::PASSWORD_KEY)));
        }
        KafkaMode::External(external) => {
            match &external.auth {
                KafkaAuth::None => {}
                KafkaAuth::Password { username, password, .. } => {
                    settings.push(("saslUsername", username.clone()));
                    settings.push(("saslPassword", password.clone()));
                }
                KafkaAuth::Mtls { certificate, key } => {
                    settings.push(("clientCert", certificate.clone()));
                    settings.push(("clientKey", key.clone()));
                }
            }
            if let Some(ca) = external.tls.as_ref().and_then(|tls| tls.ca_certificate.clone()) {
                settings.push(("caCert", ca));
            }
        }
        KafkaMode::Strimzi(_) => {
            settings.push(("saslPassword", SecretRef::new(names::KAFKA_CLIENT, names::PASSWORD_KEY)));
            settings.push(("caCert", SecretRef::new(names::KAFKA_CA_SECRET, names::CA_KEY)));
        }
    }
    settings
}

/// What a conversation with Kafka needs of Secrets.
pub(crate) fn of_broker(platform: &Resolved) -> Vec<SecretRef> {
    kafka_credentials(platform).into_iter().map(|(_, reference)| reference).collect()
}

/// Names of the Secrets that a service may read, by its Role and by the Configuration's secret scopes.
pub(super) fn readable_by(platform: &Resolved, app: App) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if app.has_backing_services() {
        names.insert(platform.postgres.connection_string.name.clone());
    }
    if let (App::Backend, Some(ai)) = (app, &platform.ai) {
        names.insert(ai.api_key.name.clone());
    }
    names
}

/// The Secrets that the operator makes, as objects.
pub(super) fn objects(platform: &Resolved) -> Vec<Object> {
    made(platform).iter().map(|secret| Object::of(Wave::Foundation, Policy::CreateOnce, secret)).collect()
}

/// Digests of what is in the Secrets that the operator makes.
pub(crate) fn made_digests(platform: &Resolved) -> BTreeMap<SecretRef, String> {
    let mut digests = BTreeMap::new();
    for secret in made(platform) {
        let name = secret.metadata.name.unwrap_or_default();
        for (key, value) in secret.data.unwrap_or_default() {
            digests.insert(SecretRef::new(&name, key), short_hash(&value.0));
        }
    }
    digests
}

fn made(platform: &Resolved) -> Vec<Secret> {
    let generated = &platform.generated;
    let mut secrets = vec![Secret {
        metadata: owned(platform, names::APP_TOKEN_SECRET, None),
        data: Some(data(&[(names::TOKEN_KEY, generated.app_token.reveal())])),
        ..Secret::default()
    }];
    if matches!(platform.kafka.mode, KafkaMode::Embedded(_)) {
        secrets.push(Secret {
            metadata: data_metadata(platform, names::KAFKA_PASSWORD_SECRET, Some(names::KAFKA)),
            data: Some(data(&[(names::PASSWORD_KEY, generated.kafka_password.reveal())])),
            ..Secret::default()
        });
        secrets.push(Secret {
            metadata: data_metadata(platform, names::KAFKA_USERNAME_SECRET, Some(names::KAFKA)),
            data: Some(data(&[(names::USERNAME_KEY, names::EMBEDDED_USER)])),
            ..Secret::default()
        });
    }
    if matches!(platform.postgres.mode, PostgresMode::Embedded(_)) {
        let password = generated.postgres_password.reveal();
        secrets.push(Secret {
            metadata: data_metadata(platform, names::POSTGRES_SECRET, Some(names::POSTGRES)),
            data: Some(data(&[
                (names::CONNECTION_STRING_KEY, &embedded_connection_string(&platform.namespace, password)),
                (names::DATABASE_KEY, names::EMBEDDED_USER),
                (names::PASSWORD_KEY, password),
                (names::USERNAME_KEY, names::EMBEDDED_USER),
            ])),
            ..Secret::default()
        });
    }
    secrets.extend(web_push::secret(platform));
    secrets
}

/// The way to embedded PostgreSQL. A URL, because Dapr splits the other form at every blank.
fn embedded_connection_string(namespace: &str, password: &str) -> String {
    let (user, host, port) = (names::EMBEDDED_USER, names::POSTGRES, names::POSTGRES_PORT);
    format!("postgres://{user}:{password}@{host}.{namespace}.svc:{port}/{user}?sslmode=disable")
}

fn data(entries: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect()
}
