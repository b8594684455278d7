//! The topics that the services use. With embedded Kafka the operator makes them; with somebody else's it looks whether
//! they are there and says which are not.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use kube::Client;
use rskafka::{
    BackoffConfig,
    client::{ClientBuilder, Credentials, SaslConfig, error::Error as KafkaError, error::ProtocolError},
};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::tls;
use crate::{
    class::bounded,
    dereference::secrets,
    names,
    resolve::{KafkaAuth, KafkaMode, Resolved, SaslMechanism, SecretRef, Sensitive},
    runtime::lease::Leadership,
};

/// How long the whole conversation with a broker may take.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long a broker is asked again that refuses: one that starts does so at first.
const AGAIN: Duration = Duration::from_secs(3);
/// Before it is asked again.
const PAUSE: Duration = Duration::from_millis(300);
/// How long topics that were there are taken to be there.
const FRESH: Duration = Duration::from_mins(5);
/// How soon it is tried again when they are not.
const RETRY: Duration = Duration::from_secs(8);
/// How long a broker may take to make a topic, in milliseconds.
const CREATE_TIMEOUT_MS: i32 = 5000;
/// Copies of each topic of a single broker.
const REPLICATION: i16 = 1;
/// Characters of a broker's words that are kept.
const MESSAGE: usize = 300;

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
    /// The broker cannot be asked.
    Unreachable(String),
}

/// What is known of one platform's topics.
#[derive(Debug, Default)]
pub struct TopicsMemory {
    subject: String,
    known: Topics,
    good_until: Option<Instant>,
    /// At most one conversation at a time; it ends with this memory.
    look: Option<Look>,
}

/// A conversation with a broker, beside the passes: a broker that does not answer takes no pass from other platforms.
#[derive(Debug)]
struct Look {
    since: Instant,
    end: Arc<OnceLock<Topics>>,
    task: AbortOnDropHandle<()>,
}

impl Look {
    fn begin(
        look: impl Future<Output = Topics> + Send + 'static,
        answered: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let end = Arc::new(OnceLock::new());
        let answer = Arc::clone(&end);
        let task = tokio::spawn(async move {
            let _ = answer.set(look.await);
            answered.await;
        });
        Self { since: Instant::now(), end, task: AbortOnDropHandle::new(task) }
    }

    /// What was found, once it was.
    fn end(&self) -> Option<Topics> {
        let is_over = self.task.is_finished();
        let end = self.end.get().cloned();
        end.or_else(|| is_over.then(|| Topics::Unreachable("a mistake in the operator ended the look".to_owned())))
    }
}

/// What a conversation with a broker needs.
struct Access {
    brokers: Vec<String>,
    sasl: Option<SaslConfig>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// Sees to the topics, and makes those of embedded Kafka that are not there if there is a `maker`. `incarnation` changes
/// when the broker does, so that a new one is asked at once. This answers what is known; when there is more, `answered` is
/// awaited.
pub fn ensure(
    client: &Client,
    platform: &Resolved,
    incarnation: &str,
    maker: Option<&Leadership>,
    memory: &mut TopicsMemory,
    answered: impl Future<Output = ()> + Send + 'static,
) -> Topics {
    let (mode, digests) = (&platform.kafka.mode, credential_digests(platform));
    let subject = format!("{incarnation} {} {mode:?} {digests:?}", maker.is_some());
    let look = || {
        let (client, platform, maker) = (client.clone(), platform.clone(), maker.cloned());
        async move {
            let (client, platform, maker) = (&client, &platform, maker.as_ref());
            insist(DEADLINE, move || look(client, platform, maker)).await.unwrap_or_else(|message| {
                Topics::Unreachable(bounded(&explained(&platform.kafka.mode, message), MESSAGE))
            })
        }
    };
    memory.answer(subject, look, answered)
}

impl TopicsMemory {
    /// How long the first answer has been waited for, until it has been taken.
    pub fn unanswered(&self) -> Option<Duration> {
        let first = self.look.as_ref().filter(|_| self.known == Topics::Unknown)?;
        Some(first.since.elapsed())
    }

    /// What is known about `subject`. A look begins if that is not good any more, and what it finds is taken by a later call.
    fn answer<F>(
        &mut self,
        subject: String,
        look: impl FnOnce() -> F,
        answered: impl Future<Output = ()> + Send + 'static,
    ) -> Topics
    where
        F: Future<Output = Topics> + Send + 'static,
    {
        if self.subject != subject {
            *self = Self { subject, ..Self::default() };
        }
        if let Some(end) = self.look.as_ref().and_then(Look::end) {
            let good_for = if end == Topics::Present { FRESH } else { RETRY };
            *self =
                Self { known: end, good_until: Some(Instant::now() + good_for), look: None, ..std::mem::take(self) };
        }
        if self.look.is_none() && self.good_until.is_none_or(|until| until <= Instant::now()) {
            self.look = Some(Look::begin(look(), answered));
        }
        self.known.clone()
    }
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

async fn look(client: &Client, platform: &Resolved, maker: Option<&Leadership>) -> Result<Topics, String> {
    let access = access(client, platform).await?;
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
    let embedded = matches!(platform.kafka.mode, KafkaMode::Embedded(_));
    if !embedded || !maker.is_some_and(Leadership::is_leader) {
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

/// What a broker's refusal is about, for those who can put it right.
fn explained(mode: &KafkaMode, error: String) -> String {
    let KafkaMode::External(external) = mode else { return error };
    let signed_by_another = ["UnknownIssuer", "BadSignature"]
        .iter()
        .any(|reason| error.contains(&format!("invalid peer certificate: {reason}")));
    match (&external.auth, external.tls.as_ref().and_then(|tls| tls.ca_certificate.as_ref())) {
        (_, Some(authority)) if signed_by_another => {
            format!("the authority in {authority} has not signed the broker's certificate: {error}")
        }
        (KafkaAuth::Password { username, password, .. }, _) if error.contains("SaslAuthenticationFailed") => {
            format!("the broker refuses the user in {username} with the password in {password}: {error}")
        }
        _ => error,
    }
}

/// The client's own default would try for ever, and its limit counts its pauses only.
fn impatient() -> BackoffConfig {
    BackoffConfig { deadline: Some(Duration::ZERO), ..BackoffConfig::default() }
}

async fn access(client: &Client, platform: &Resolved) -> Result<Access, String> {
    let references = references(platform);
    let values = if references.is_empty() {
        BTreeMap::new()
    } else {
        secrets::reveal(client, &platform.namespace, &references).await.map_err(|error| error.to_string())?
    };
    let value = |reference: &SecretRef| values.get(reference).ok_or_else(|| format!("{reference} is missing"));
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
                    identity = Some((value(certificate)?.reveal(), value(key)?.reveal()));
                    None
                }
            };
            let tls = match &external.tls {
                None => None,
                Some(tls) => {
                    let authority = tls.ca_certificate.as_ref().map(value).transpose()?.map(Sensitive::reveal);
                    Some(tls::client(authority, identity)?)
                }
            };
            Ok(Access { brokers: external.brokers.clone(), sasl, tls })
        }
        KafkaMode::Strimzi(_) => Err("Strimzi looks after the topics".to_owned()),
    }
}

fn credentials(username: &Sensitive, password: &Sensitive) -> Credentials {
    Credentials::new(username.reveal().to_owned(), password.reveal().to_owned())
}

/// The keys of Secrets that a conversation with the broker needs.
fn references(platform: &Resolved) -> Vec<SecretRef> {
    crate::build::secrets::kafka_credentials(platform).into_iter().map(|(_, reference)| reference).collect()
}

fn credential_digests(platform: &Resolved) -> Vec<Option<&String>> {
    references(platform).iter().map(|reference| platform.digests.get(reference)).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tokio::sync::Notify;

    use super::*;
    use crate::resolve::{ExternalKafka, KafkaTls};

    #[tokio::test]
    async fn why_a_broker_refused_is_told_though_it_does_not_answer_once_more() {
        let asked = AtomicUsize::new(0);
        let ask = || {
            let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if is_first { Err("refused".to_owned()) } else { pending::<Result<(), _>>().await } }
        };
        assert_eq!(insist(2 * PAUSE, ask).await, Err("refused".to_owned()));
        let silent = insist(Duration::ZERO, pending::<Result<(), _>>).await;
        assert_eq!(silent, Err("no answer within 0 s".to_owned()));
    }

    #[test]
    fn a_refusal_names_the_secret_that_has_to_be_put_right() {
        let secret = |key: &str| SecretRef::new("broker", key);
        let mode = KafkaMode::External(ExternalKafka {
            brokers: vec!["kafka:9093".to_owned()],
            auth: KafkaAuth::Password {
                mechanism: SaslMechanism::ScramSha256,
                username: secret("user"),
                password: secret("pass"),
            },
            tls: Some(KafkaTls { ca_certificate: Some(secret("ca.crt")) }),
        });
        for (error, named) in [
            ("IO Error: invalid peer certificate: UnknownIssuer", Some(secret("ca.crt"))),
            ("IO Error: invalid peer certificate: BadSignature", Some(secret("ca.crt"))),
            ("Sasl handshake failed: API error: SaslAuthenticationFailed", Some(secret("pass"))),
            ("IO Error: invalid peer certificate: Expired", None),
        ] {
            let told = explained(&mode, error.to_owned());
            assert!(told.ends_with(error), "{told}");
            assert!(named.is_none_or(|named| told.contains(&named.to_string())), "{told}");
        }
        assert_eq!(explained(&mode, "no route".to_owned()), "no route");
    }

    #[test]
    fn partitions_are_compared_where_the_spec_says_how_many() {
        let present = |partitions| names::TOPICS.map(|topic| (topic.to_owned(), partitions)).into();
        assert_eq!(compared(&present(1), None), Topics::Present);
        assert_eq!(compared(&present(6), Some(6)), Topics::Present);
        let mut one_differs: BTreeMap<String, usize> = present(6);
        one_differs.insert("reminders".to_owned(), 1);
        assert_eq!(compared(&one_differs, Some(6)), Topics::Differing(vec![("reminders".to_owned(), 1)]));
    }

    #[tokio::test]
    async fn a_broker_that_does_not_answer_holds_up_no_pass_and_leaves_what_is_known() {
        let mut memory = TopicsMemory::default();
        let (one, other) = (|| "one".to_owned(), || "another broker".to_owned());
        let found = Arc::new(Notify::new());
        let told = || {
            let found = Arc::clone(&found);
            async move { found.notify_one() }
        };
        assert_eq!(memory.answer(one(), || ready(Topics::Present), told()), Topics::Unknown);
        assert!(memory.unanswered().is_some());
        found.notified().await;
        let never = || pending::<Topics>();
        assert_eq!(memory.answer(one(), never, told()), Topics::Present, "what was found is taken");
        assert!(memory.look.is_none() && memory.unanswered().is_none(), "it is fresh");

        memory.good_until = None;
        assert_eq!(memory.answer(one(), never, told()), Topics::Present);
        assert_eq!(memory.answer(one(), || ready(Topics::Unknown), told()), Topics::Present, "the look goes on");
        assert_eq!(memory.unanswered(), None, "there was an answer before");

        let missing = Topics::Missing(vec!["reminders".to_owned()]);
        let is_missing = missing.clone();
        assert_eq!(memory.answer(other(), || ready(is_missing), told()), Topics::Unknown);
        found.notified().await;
        assert_eq!(memory.answer(other(), never, told()), missing);
    }

    #[tokio::test]
    async fn a_look_that_panics_is_said_and_tried_again() {
        let mut memory = TopicsMemory::default();
        let panics = || async { panic!("as a test wants it") };
        memory.answer(String::new(), panics, ready(()));
        while memory.look.as_ref().is_some_and(|look| look.end().is_none()) {
            tokio::task::yield_now().await;
        }
        assert!(matches!(memory.answer(String::new(), panics, ready(())), Topics::Unreachable(_)));
        assert!(memory.look.is_none() && memory.good_until.is_some());
    }
}
