//! Reads what a platform points at and no watch can tell: the Secrets that it names, each by `get`, and what the cluster
//! has of Dapr and other parts that may come later.

pub mod cluster;
pub mod secrets;

use std::{collections::BTreeMap, time::Instant};

use kube::Client;
use rand::Rng;
use todo_crds::platform::TodoPlatform;

use crate::{
    build,
    plan::LiveSecret,
    resolve::{self, Found, GeneratedSecrets, Maker, Resolved, SecretKey, SecretRef, Sensitive, Settings, Violation},
};
pub use secrets::{SecretsError, SecretsFound, SecretsRead, Values};

/// Characters of a generated password: letters and digits, as it becomes part of a URL.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Length of a generated password: about 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// A platform with what it points at.
#[derive(Clone, Debug)]
pub struct Dereferenced {
    /// The platform, ready to be built.
    pub resolved: Resolved,
    /// The Secrets that it names and that exist.
    pub secrets: BTreeMap<String, LiveSecret>,
    /// What it needs and what neither exists nor is made by the operator.
    pub missing: Vec<MissingSecret>,
    /// What its broker is asked with, if Secrets were read just now. It ends with the pass.
    pub broker: Option<Values>,
}

/// A key that is needed and is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSecret {
    /// Which one, and who needs it.
    pub secret: SecretKey,
    /// Whether the Secret exists and only the key does not.
    pub exists: bool,
}

impl Dereferenced {
    /// Whether all is there that its broker is asked with.
    pub fn can_ask_broker(&self) -> bool {
        let needed = build::secrets::of_broker(&self.resolved);
        let is_needed = |secret: &SecretKey| needed.iter().any(|key| key.name == secret.name && key.key == secret.key);
        !self.missing.iter().any(|missing| is_needed(&missing.secret))
    }

    /// Whether its Secrets are those of a read before, and may be others by now.
    pub const fn is_remembered(&self) -> bool {
        self.broker.is_none()
    }
}

impl MissingSecret {
    /// Whether another operator makes it, so that it comes by itself once that has done its work.
    pub fn is_on_the_way(&self) -> bool {
        !self.exists && matches!(self.secret.maker, Maker::Other(_))
    }
}

/// Why a platform could not be dereferenced.
#[derive(Debug, thiserror::Error)]
pub enum DereferenceError {
    /// The spec is wrong.
    #[error("the spec is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
    /// Secrets cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// Reads what `platform` points at and fills in every default. `read` saves reads that would come too soon.
pub async fn dereference(
    client: &Client,
    platform: &TodoPlatform,
    settings: &Settings,
    read: &mut SecretsRead,
) -> Result<Dereferenced, DereferenceError> {
    let mut found = read.found();
    // Which Secrets are needed is known only once the defaults are filled in.
    let mut resolved = fill_in(platform, settings, &found, GeneratedSecrets::default())?;
    let required = build::required_secrets(&resolved);
    let wanted: Vec<SecretRef> = required.iter().map(|key| SecretRef::new(&key.name, &key.key)).collect();
    let mut broker = None;
    if !(read.is_fresh(Instant::now()) && found.answers(&wanted)) {
        let (connection_string, used) = (&resolved.postgres.connection_string, build::secrets::of_broker(&resolved));
        let (now, values) = secrets::read(client, &resolved.namespace, &wanted, connection_string, &used).await?;
        (found, *read, broker) = (now.found(), now, Some(values));
        resolved = fill_in(platform, settings, &found, GeneratedSecrets::default())?;
    }
    if required.iter().any(|key| key.maker == Maker::Operator && !found.secrets.contains_key(&key.name)) {
        resolved = fill_in(platform, settings, &found, generate())?;
    }
    let missing = missing(&required, &found);
    Ok(Dereferenced { resolved, secrets: found.secrets, missing, broker })
}

/// The same while Secrets cannot be read, with those of `read`. Good enough to look at the platform, and not to write:
/// what became of the Secrets since, and what is missing, nobody knows.
pub fn remember(
    platform: &TodoPlatform,
    settings: &Settings,
    read: &SecretsRead,
) -> Result<Dereferenced, DereferenceError> {
    let found = read.found();
    let resolved = fill_in(platform, settings, &found, GeneratedSecrets::default())?;
    Ok(Dereferenced { resolved, secrets: found.secrets, missing: Vec::new(), broker: None })
}

fn fill_in(
    platform: &TodoPlatform,
    settings: &Settings,
    found: &SecretsFound,
    generated: GeneratedSecrets,
) -> Result<Resolved, DereferenceError> {
    let found = Found { digests: found.digests.clone(), postgres_port: found.postgres_port, generated };
    resolve::validate(platform, settings, &found).map_err(DereferenceError::Invalid)
}

fn missing(required: &[SecretKey], found: &SecretsFound) -> Vec<MissingSecret> {
    required
        .iter()
        .filter_map(|secret| match found.secrets.get(&secret.name) {
            None if secret.maker == Maker::Operator => None,
            None => Some(MissingSecret { secret: secret.clone(), exists: false }),
            Some(live) if live.keys.contains(&secret.key) => None,
            Some(_) => Some(MissingSecret { secret: secret.clone(), exists: true }),
        })
        .collect()
}

/// Fresh values; used only for Secrets that do not exist yet.
fn generate() -> GeneratedSecrets {
    GeneratedSecrets {
        kafka_password: password(),
        postgres_password: password(),
        app_token: password(),
        web_push_key: build::web_push::private_key(),
    }
}

/// A fresh password.
pub(crate) fn password() -> Sensitive {
    let mut random = rand::rng();
    let text: String =
        (0..PASSWORD_LENGTH).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect();
    Sensitive::new(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_missing_secret_is_told_from_a_missing_key_and_what_we_make_is_not_missing() {
        let key = |name: &str, maker| SecretKey {
            name: name.to_owned(),
            key: "k".to_owned(),
            used_by: BTreeSet::new(),
            maker,
        };
        let mut found = SecretsFound::default();
        found.secrets.insert("wrong-key".to_owned(), LiveSecret::default());
        found.secrets.insert("ours-wrong-key".to_owned(), LiveSecret::default());
        let there = LiveSecret { keys: ["k".to_owned()].into(), ..LiveSecret::default() };
        found.secrets.insert("there".to_owned(), there);
        let required = [
            key("there", Maker::User),
            key("wrong-key", Maker::User),
            key("absent", Maker::User),
            key("not-yet", Maker::Other("Strimzi")),
            key("ours", Maker::Operator),
            key("ours-wrong-key", Maker::Operator),
        ];
        let missing: Vec<_> =
            missing(&required, &found).into_iter().map(|missing| (missing.secret.name, missing.exists)).collect();
        assert_eq!(
            missing,
            [("wrong-key", true), ("absent", false), ("not-yet", false), ("ours-wrong-key", true)]
                .map(|(name, exists)| (name.to_owned(), exists))
        );
    }

    #[test]
    fn a_broker_can_be_asked_whatever_else_is_missing() {
        let key = |name: &str| json!({"secretKeyRef": {"name": name, "key": "k"}});
        let platform = serde_json::from_value(json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform", "metadata": {"name": "x", "namespace": "ns"},
            "spec": {
                "auth": {"mode": "disabled"},
                "ai": {"apiKey": key("ai")},
                "kafka": {"external": {
                    "brokers": ["kafka:9092"],
                    "auth": {"scram": {"mechanism": "SCRAM-SHA-256", "username": key("user"), "password": key("password")}},
                }},
            },
        }));
        let resolved =
            fill_in(&platform.unwrap(), &Settings::default(), &SecretsFound::default(), GeneratedSecrets::default());
        let resolved = resolved.unwrap();
        let required = build::required_secrets(&resolved);
        for (name, can_ask) in [("ai", true), ("user", false), ("password", false)] {
            let mut missing = missing(&required, &SecretsFound::default());
            missing.retain(|missing| missing.secret.name == name);
            assert_eq!(missing.len(), 1, "{name}");
            let dereferenced =
                Dereferenced { resolved: resolved.clone(), secrets: BTreeMap::new(), missing, broker: None };
            assert_eq!(dereferenced.can_ask_broker(), can_ask, "{name}");
        }
    }

    #[test]
    fn passwords_fit_into_a_url_and_differ() {
        let (one, two) = (password(), password());
        assert!(one.reveal().len() == PASSWORD_LENGTH && one.reveal().chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(one.reveal(), two.reveal());
    }
}
