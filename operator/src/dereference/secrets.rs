//! The Secrets that a platform names. They are read one by one, never listed or watched: the operator holds the right to
//! `get` alone. Only digests are kept; a value lives as long as the pass that read it and what it began.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use rand::Rng;
use tokio::time::timeout;

use crate::{
    class::{Class, words},
    names::POSTGRES_PORT,
    plan::LiveSecret,
    resolve::{SecretRef, Sensitive, short_hash},
};

/// How long one read may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Secrets read at the same time.
const CONCURRENCY: usize = 8;
/// How long a complete read is good for; up to [`JITTER`] longer.
const FRESH: Duration = Duration::from_secs(9);
/// How long a read is good for in which something was missing.
const FRESH_INCOMPLETE: Duration = Duration::from_secs(2);
/// Keeps many platforms from reading at the same moment.
const JITTER: Duration = Duration::from_secs(2);

/// Values of Secrets, for one use.
pub type Values = BTreeMap<SecretRef, Sensitive>;

/// What a read of Secrets found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecretsFound {
    /// Those that exist, by name.
    pub secrets: BTreeMap<String, LiveSecret>,
    /// Digest of each key that was asked for and exists.
    pub digests: BTreeMap<SecretRef, String>,
    /// Port in the connection string, if that exists and can be read.
    pub postgres_port: Option<u16>,
    wanted: BTreeSet<SecretRef>,
}

impl SecretsFound {
    /// Whether all of `wanted` was asked for.
    pub fn answers(&self, wanted: &[SecretRef]) -> bool {
        wanted.iter().all(|key| self.wanted.contains(key))
    }
}

/// The last read of Secrets. Between passes it is JSON, which takes a fourth of the memory.
#[derive(Clone, Debug, Default)]
pub struct SecretsRead {
    json: Box<[u8]>,
    good_until: Option<Instant>,
}

impl SecretsRead {
    fn new(found: &SecretsFound, good_until: Instant) -> Self {
        let SecretsFound { secrets, digests, postgres_port, wanted } = found;
        // As pairs: JSON takes nothing but texts for keys.
        let digests: Vec<_> = digests.iter().collect();
        let json = serde_json::to_vec(&(secrets, digests, postgres_port, wanted));
        Self { json: json.expect("texts and lists of texts can be JSON").into(), good_until: Some(good_until) }
    }

    /// What it found; nothing if there was none.
    pub fn found(&self) -> SecretsFound {
        if self.json.is_empty() {
            return SecretsFound::default();
        }
        let (secrets, digests, postgres_port, wanted): (_, Vec<_>, _, _) =
            serde_json::from_slice(&self.json).expect("it was made from the same types");
        SecretsFound { secrets, digests: digests.into_iter().collect(), postgres_port, wanted }
    }

    /// Whether it is still good.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.good_until.is_some_and(|until| now < until)
    }

    /// From now on it is only the best that is known, and serves no more.
    pub fn expire(&mut self) {
        self.good_until = None;
    }
}

/// Why a Secret could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read Secret {name}: {message}")]
pub struct SecretsError {
    /// Name of the Secret.
    pub name: String,
    /// Kind of the failure.
    pub class: Class,
    /// What the API server says.
    pub message: String,
}

/// Reads the Secrets of `wanted`, and returns the values of those of them that are `used` now.
pub async fn read(
    client: &Client,
    namespace: &str,
    wanted: &[SecretRef],
    connection_string: &SecretRef,
    used: &[SecretRef],
) -> Result<(SecretsRead, Values), SecretsError> {
    let found = get_all(client, namespace, wanted).await?;
    let values = values(&found, used);
    let mut read = SecretsFound { wanted: wanted.iter().cloned().collect(), ..SecretsFound::default() };
    for secret in found {
        let data = secret.data.unwrap_or_default();
        let name = secret.metadata.name.clone().unwrap_or_default();
        for reference in wanted.iter().filter(|reference| reference.name == name) {
            let Some(value) = data.get(&reference.key).filter(|value| !value.0.is_empty()) else { continue };
            read.digests.insert(reference.clone(), short_hash(&value.0));
            if reference == connection_string {
                read.postgres_port = std::str::from_utf8(&value.0).ok().and_then(postgres_port);
            }
        }
        let keys = data.into_iter().filter(|(_, value)| !value.0.is_empty()).map(|(key, _)| key).collect();
        let mut metadata = secret.metadata;
        metadata.managed_fields = None;
        // `kubectl apply` writes values there.
        metadata.annotations = None;
        read.secrets.insert(name, LiveSecret { metadata, keys });
    }
    let fresh = if wanted.iter().all(|key| read.digests.contains_key(key)) { FRESH } else { FRESH_INCOMPLETE };
    let jitter = JITTER.mul_f64(rand::rng().random_range(0.0..1.0));
    Ok((SecretsRead::new(&read, Instant::now() + fresh + jitter), values))
}

/// Reads the values of `wanted`.
pub async fn reveal(client: &Client, namespace: &str, wanted: &[SecretRef]) -> Result<Values, SecretsError> {
    Ok(values(&get_all(client, namespace, wanted).await?, wanted))
}

fn values(found: &[Secret], wanted: &[SecretRef]) -> Values {
    let value = |reference: &SecretRef| {
        let secret = found.iter().find(|secret| secret.metadata.name.as_ref() == Some(&reference.name))?;
        let text = std::str::from_utf8(&secret.data.as_ref()?.get(&reference.key)?.0).ok()?;
        Some((reference.clone(), Sensitive::new(text)))
    };
    wanted.iter().filter_map(value).collect()
}

async fn get_all(client: &Client, namespace: &str, wanted: &[SecretRef]) -> Result<Vec<Secret>, SecretsError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let names: BTreeSet<String> = wanted.iter().map(|reference| reference.name.clone()).collect();
    stream::iter(names.into_iter().map(|name| get(api.clone(), name)))
        .buffer_unordered(CONCURRENCY)
        .try_filter_map(|secret| async { Ok(secret) })
        .try_collect()
        .await
}

async fn get(api: Api<Secret>, name: String) -> Result<Option<Secret>, SecretsError> {
    match timeout(DEADLINE, api.get_opt(&name)).await {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(SecretsError { class: Class::of(&error), message: words(&error), name }),
        Err(_) => {
            let message = format!("no answer within {DEADLINE:?}");
            Err(SecretsError { class: Class::Transient, message, name })
        }
    }
}

/// Port in a connection string, which is a URL or `key=value` words. What is said behind the question mark of a URL goes
/// before what stands beside the host.
fn postgres_port(text: &str) -> Option<u16> {
    let Some((_, rest)) = text.split_once("://") else {
        let port = text.split_whitespace().find_map(|word| word.strip_prefix("port="));
        return port.map_or(Some(POSTGRES_PORT), |port| port.parse().ok());
    };
    let mut settings = rest.split_once('?').map(|(_, query)| query).unwrap_or_default().rsplit('&');
    if let Some(port) = settings.find_map(|setting| setting.strip_prefix("port=")) {
        return port.parse().ok();
    }
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after_host = host.rsplit_once(']').map_or(host, |(_, tail)| tail);
    match after_host.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(POSTGRES_PORT),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::ObjectMeta};

    use super::*;

    #[test]
    fn the_port_is_found_in_every_form_of_a_connection_string() {
        for (text, port) in [
            ("postgres://u:p%40@db.example.com:6432/todo?sslmode=require", Some(6432)),
            ("postgresql://db/todo", Some(5432)),
            ("postgres://u:p@[fd00::1]:5433/todo", Some(5433)),
            ("postgres://u:p@[fd00::1]/todo", Some(5432)),
            ("host=db port=6000 user=u", Some(6000)),
            ("host=db user=u", Some(5432)),
            ("postgres://db:what/todo", None),
            ("postgres:///todo?host=db&port=6432", Some(6432)),
            ("postgres://u:p@db:5433/todo?port=6432&sslmode=require", Some(6432)),
            ("postgres://db/todo?host=/run&port=what", None),
        ] {
            assert_eq!(postgres_port(text), port, "{text}");
        }
    }

    #[test]
    fn values_are_those_that_are_used_and_there() {
        let secret = |name: &str, value: &[u8]| Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            data: Some([("k".to_owned(), ByteString(value.to_vec()))].into()),
            ..Secret::default()
        };
        let found = [secret("a", b"one"), secret("b", b"two"), secret("c", &[0xff])];
        let used = [("b", "k"), ("b", "other"), ("c", "k"), ("d", "k")].map(|(name, key)| SecretRef::new(name, key));
        let values = values(&found, &used);
        assert_eq!(values, [(used[0].clone(), Sensitive::new("two"))].into());
        assert!(!format!("{values:?}").contains("two"));
    }

    #[test]
    fn a_read_serves_only_what_it_asked_for_and_only_for_a_while() {
        let now = Instant::now();
        let key = SecretRef::new("a", "k");
        let found = SecretsFound { wanted: [key.clone()].into(), ..SecretsFound::default() };
        let mut read = SecretsRead::new(&found, now + Duration::from_secs(1));
        assert!(read.is_fresh(now) && !read.is_fresh(now + Duration::from_secs(2)));
        assert!(read.found().answers(std::slice::from_ref(&key)));
        assert!(!read.found().answers(&[key, SecretRef::new("b", "k")]));
        read.expire();
        assert!(!read.is_fresh(now));
    }

    #[test]
    fn what_was_found_is_the_same_in_the_next_pass() {
        let found = SecretsFound {
            secrets: [("a".to_owned(), LiveSecret { keys: ["k".to_owned()].into(), ..LiveSecret::default() })].into(),
            digests: [(SecretRef::new("a", "k"), "digest".to_owned())].into(),
            postgres_port: Some(5432),
            wanted: [SecretRef::new("a", "k"), SecretRef::new("b", "k")].into(),
        };
        assert_eq!(SecretsRead::new(&found, Instant::now()).found(), found);
        assert_eq!(SecretsRead::default().found(), SecretsFound::default());
    }
}
