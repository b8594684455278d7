//! The topics that the services use. With embedded Kafka the operator makes them; with somebody else's it looks whether
//! they are there and says which are not.

mod memory;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use rskafka::{
    BackoffConfig,
    client::{ClientBuilder, Credentials, SaslConfig, error::Error as KafkaError, error::ProtocolError},
};
use tokio::time::{sleep, timeout};

use crate::{
    build,
    dereference::{Values, secrets},
    names,
    resolve::{KafkaAuth, KafkaMode, Resolved, SaslMechanism, SecretRef, Sensitive},
    runtime::lease::Leadership,
    text::bounded,
};
use memory::May;
pub use memory::TopicsMemory;
use tls::Pem;

/// How long the whole conversation with a broker may take.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long a broker is asked again that refuses: one that starts does so at first.
const AGAIN: Duration = Duration::from_secs(3);
/// Before it is asked again.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a broker may take to make a topic, in milliseconds.
const CREATE_TIMEOUT_MS: i32 = 5000;
/// Copies of each topic of a single broker.
const REPLICATION: i16 = 1;
/// Characters of a broker's words that are kept.
const MESSAGE: usize = 300;

/// With what a broker ends a connection.
const ALERT: &str = "received fatal alert: ";
/// What it then says of a client's certificate. Which of these is left to each implementation of TLS.
const OF_CERTIFICATES: [&str; 9] = [
    "BadCertificate",
    "UnsupportedCertificate",
    "CertificateRevoked",
    "CertificateExpired",
    "CertificateUnknown",
    "UnknownCA",
    "AccessDenied",
    "DecryptError",
    "CertificateRequired",
];

/// Whether the topics are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Topics {
    /// Not looked for yet.
    #[default]
    Unknown,
    /// All there.
    Present,
    /// All there, but these have other numbers of partitions than the spec says.
    Differing(Vec<(String, usize)>),
    /// Some are not, and it is not the operator that makes them.
    Missing(Vec<String>),
    /// The broker cannot be asked because of something that is given for it.
    Refused {
        /// What that is, in words that stay the same.
        why: String,
        /// The error that shows it, if there was one.
        error: Option<String>,
    },
    /// The broker cannot be asked.
    Unreachable(String),
}

/// With what a broker is asked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// For Secrets that have not been read.
    pub client: &'a Client,
    /// What is needed of Secrets, if they were read just now.
    pub values: Option<&'a Values>,
    /// Only who leads asks.
    pub leadership: &'a Leadership,
    /// Whether topics of embedded Kafka that are not there are made.
    pub makes: bool,
}

/// What a conversation with a broker needs.
#[derive(Clone)]
struct Access {
    brokers: Vec<String>,
    sasl: Option<SaslConfig>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// Sees to the topics, and makes those of embedded Kafka that are not there if that is wanted. `incarnation` changes when
/// the broker does, so that a new one is asked at once. Returns what is known; when there is more, `answered` is awaited.
pub fn ensure(
    asked: &Asked<'_>,
    platform: &Resolved,
    incarnation: &str,
    memory: &mut TopicsMemory,
    answered: impl Future<Output = ()> + Send + 'static,
) -> Topics {
    let Asked { client, values, leadership, makes } = *asked;
    // Somebody else's topics are never made.
    let makes = makes && matches!(platform.kafka.mode, KafkaMode::Embedded(_));
    memory.may_make(makes);
    let maker = makes.then_some(leadership);
    let references = build::secrets::of_broker(platform);
    let digests: Vec<_> = references.iter().map(|reference| platform.digests.get(reference)).collect();
    let subject = format!("{incarnation} {:?} {digests:?}", platform.kafka.mode);
    let may = match values {
        _ if !leadership.is_leader() => May::Listen,
        None if !references.is_empty() => May::LookAtFirst,
        _ => May::Look,
    };
    let look = || {
        let (client, platform, values, maker) = (client.clone(), platform.clone(), values.cloned(), maker.cloned());
        async move {
            let found = async {
                let values = match values {
                    Some(values) => values,
                    None => insist(DEADLINE, || read(&client, &platform.namespace, &references))
                        .await
                        .map_err(|error| failed(&platform.kafka.mode, &error))?,
                };
                let access = access(&platform, &values).map_err(|why| Topics::Refused { why, error: None })?;
                let found = insist(DEADLINE, || look(&platform, access.clone(), maker.as_ref())).await;
                found.map_err(|error| failed(&platform.kafka.mode, &error))
            };
            found.await.unwrap_or_else(|failed| failed)
        }
    };
    memory.answer(subject, may, look, answered)
}

/// Asks again for a while. If the last question has no answer, what was said to the one before it is why.
async fn insist<T, F>(limit: Duration, ask: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let (begun, mut refused) = (Instant::now(), None);
    let asking = async {
        loop {
            match ask().await {
                Err(message) if begun.elapsed() < AGAIN => refused = Some(message),
                end => break end,
            }
            sleep(PAUSE).await;
        }
    };
    let end = timeout(limit, asking).await;
    end.unwrap_or_else(|_| Err(refused.unwrap_or_else(|| format!("no answer within {} s", limit.as_secs()))))
}

async fn read(client: &Client, namespace: &str, references: &[SecretRef]) -> Result<Values, String> {
    secrets::reveal(client, namespace, references).await.map_err(|error| error.to_string())
}

async fn look(platform: &Resolved, access: Access, maker: Option<&Leadership>) -> Result<Topics, String> {
    let mut builder = ClientBuilder::new(access.brokers).client_id("todo-operator").backoff_config(impatient());
    if let Some(sasl) = access.sasl {
        builder = builder.sasl_config(sasl);
    }
    if let Some(tls) = access.tls {
        builder = builder.tls_config(tls);
    }
    let kafka = builder.build().await.map_err(|error| error.to_string())?;
    let topics = kafka.list_topics().await.map_err(|error| error.to_string())?;
    let present: BTreeMap<String, usize> =
        topics.into_iter().map(|topic| (topic.name, topic.partitions.len())).collect();
    let missing: Vec<String> =
        names::TOPICS.iter().filter(|topic| !present.contains_key(**topic)).map(|topic| (*topic).to_owned()).collect();
    if missing.is_empty() {
        return Ok(compared(&present, platform.kafka.expected_partitions));
    }
    if !maker.is_some_and(Leadership::is_leader) {
        return Ok(Topics::Missing(missing));
    }
    let controller = kafka.controller_client().map_err(|error| error.to_string())?;
    let partitions = i32::try_from(platform.kafka.partitions).unwrap_or(i32::MAX);
    for topic in missing {
        match controller.create_topic(&topic, partitions, REPLICATION, CREATE_TIMEOUT_MS).await {
            Ok(()) => tracing::info!(namespace = %platform.namespace, %topic, partitions, "made a topic"),
            Err(KafkaError::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => {}
            Err(error) => return Err(format!("cannot make topic {topic}: {error}")),
        }
    }
    Ok(Topics::Present)
}

/// Whether topics that are all there have as many partitions as they should.
fn compared(present: &BTreeMap<String, usize>, expected: Option<u32>) -> Topics {
    let Some(expected) = expected.and_then(|expected| usize::try_from(expected).ok()) else { return Topics::Present };
    let differing: Vec<_> = names::TOPICS
        .iter()
        .filter_map(|topic| Some(((*topic).to_owned(), *present.get(*topic)?)))
        .filter(|(_, partitions)| *partitions != expected)
        .collect();
    if differing.is_empty() { Topics::Present } else { Topics::Differing(differing) }
}

/// What is known of topics when the broker could not be asked.
fn failed(mode: &KafkaMode, error: &str) -> Topics {
    let why = refused_for(mode, error);
    let error = bounded(error, MESSAGE);
    match why {
        Some(why) => Topics::Refused { why, error: Some(error) },
        None => Topics::Unreachable(error),
    }
}

/// What a refusal is about, for those who can put it right.
fn refused_for(mode: &KafkaMode, error: &str) -> Option<String> {
    let KafkaMode::External(external) = mode else { return None };
    let authority = external.tls.as_ref().and_then(|tls| tls.ca_certificate.as_ref());
    if let Some(authority) = authority
        && says(error, "invalid peer certificate: ", &["UnknownIssuer", "BadSignature"])
    {
        return Some(format!("the authority in {authority} has not signed the broker's certificate"));
    }
    match &external.auth {
        KafkaAuth::Password { username, password, .. } if error.contains("SaslAuthenticationFailed") => {
            Some(format!("the broker refuses the user in {username} with the password in {password}"))
        }
        KafkaAuth::Mtls { certificate, .. } if says(error, ALERT, &OF_CERTIFICATES) => {
            Some(format!("the broker refuses the certificate in {certificate}"))
        }
        KafkaAuth::None | KafkaAuth::Password { .. } if says(error, ALERT, &OF_CERTIFICATES) => {
            Some("the broker asks for a client's certificate, and there is none; write auth.mtls".to_owned())
        }
        _ => None,
    }
}

fn says(error: &str, what: &str, one_of: &[&str]) -> bool {
    one_of.iter().any(|reason| error.contains(&format!("{what}{reason}")))
}

/// The client's own default would try for ever, and its limit counts its pauses only.
fn impatient() -> BackoffConfig {
    BackoffConfig { deadline: Some(Duration::ZERO), ..BackoffConfig::default() }
}

fn access(platform: &Resolved, values: &Values) -> Result<Access, String> {
    let value = |reference: &SecretRef| values.get(reference).ok_or_else(|| format!("{reference} is missing"));
    let pem = |reference| Ok::<_, String>(Pem { text: value(reference)?.reveal(), reference });
    match &platform.kafka.mode {
        KafkaMode::Embedded(_) => {
            let username = value(&SecretRef::new(names::KAFKA_USERNAME_SECRET, names::USERNAME_KEY))?;
            let password = value(&SecretRef::new(names::KAFKA_PASSWORD_SECRET, names::PASSWORD_KEY))?;
            Ok(Access {
                brokers: vec![format!("{}.{}.svc:{}", names::KAFKA, platform.namespace, names::KAFKA_PORT)],
                sasl: Some(SaslConfig::ScramSha256(credentials(username, password))),
                tls: None,
            })
        }
        KafkaMode::External(external) => {
            let mut identity = None;
            let sasl = match &external.auth {
                KafkaAuth::None => None,
                KafkaAuth::Password { mechanism, username, password } => {
                    let credentials = credentials(value(username)?, value(password)?);
                    Some(match mechanism {
                        SaslMechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
                        SaslMechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
                        SaslMechanism::Plain => SaslConfig::Plain(credentials),
                    })
                }
                KafkaAuth::Mtls { certificate, key } => {
                    identity = Some((pem(certificate)?, pem(key)?));
                    None
                }
            };
            let tls = match &external.tls {
                None => None,
                Some(tls) => Some(tls::client(tls.ca_certificate.as_ref().map(pem).transpose()?, identity)?),
            };
            Ok(Access { brokers: external.brokers.clone(), sasl, tls })
        }
        KafkaMode::Strimzi(_) => Err("Strimzi looks after the topics".to_owned()),
    }
}

fn credentials(username: &Sensitive, password: &Sensitive) -> Credentials {
    Credentials::new(username.reveal().to_owned(), password.reveal().to_owned())
}
