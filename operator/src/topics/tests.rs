//! What is made of a broker's answers.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

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

fn secret(key: &str) -> SecretRef {
    SecretRef::new("broker", key)
}

/// Somebody else's broker, with an authority of its own.
fn broker(auth: KafkaAuth) -> KafkaMode {
    KafkaMode::External(ExternalKafka {
        brokers: vec!["kafka:9093".to_owned()],
        auth,
        tls: Some(KafkaTls { ca_certificate: Some(secret("ca.crt")) }),
    })
}

#[test]
fn a_refusal_names_what_has_to_be_put_right() {
    let password = |mechanism| KafkaAuth::Password { mechanism, username: secret("user"), password: secret("pass") };
    let (scram, plain) = (password(SaslMechanism::ScramSha256), password(SaslMechanism::Plain));
    let certificate = KafkaAuth::Mtls { certificate: secret("tls.crt"), key: secret("tls.key") };
    let alert = "cannot sync versions: Request error: Connection is poisoned: Cannot read framed message: Cannot read data: \
                 received fatal alert: CertificateUnknown";
    let sasl = "Sasl handshake failed: API error: SaslAuthenticationFailed";
    for (auth, error, named) in [
        (&scram, "IO Error: invalid peer certificate: UnknownIssuer", Some("Secret broker key ca.crt")),
        (&certificate, "IO Error: invalid peer certificate: BadSignature", Some("Secret broker key ca.crt")),
        (&scram, sasl, Some("Secret broker key pass")),
        (&plain, sasl, Some("Secret broker key pass")),
        (&certificate, alert, Some("the certificate in Secret broker key tls.crt")),
        (&plain, alert, Some("write auth.mtls")),
        (&KafkaAuth::None, "received fatal alert: CertificateRequired", Some("write auth.mtls")),
        (&scram, "IO Error: invalid peer certificate: Expired", None),
        (&certificate, "received fatal alert: ProtocolVersion", None),
    ] {
        match (failed(&broker(auth.clone()), error), named) {
            (Topics::Refused { why, error: Some(shown) }, Some(named)) => {
                assert!(why.contains(named), "{why}");
                assert_eq!(shown, error);
            }
            (Topics::Unreachable(shown), None) => assert_eq!(shown, error),
            (topics, _) => panic!("{error}: {topics:?}"),
        }
    }
    assert_eq!(failed(&broker(scram), "no route"), Topics::Unreachable("no route".to_owned()));
}

#[test]
fn what_a_secret_has_that_is_no_certificate_or_no_key_is_named_and_not_shown() {
    let identity = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
    let (certificate, key) = (identity.cert.pem(), identity.signing_key.serialize_pem());
    let another_key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let [ca, crt, private] = ["ca.crt", "tls.crt", "tls.key"].map(secret);
    let client = |authority: &str, certificate: &str, key: &str| {
        let authority = Pem { text: authority, reference: &ca };
        let identity = (Pem { text: certificate, reference: &crt }, Pem { text: key, reference: &private });
        tls::client(Some(authority), Some(identity)).err().unwrap_or_default()
    };
    assert_eq!(client(&certificate, &certificate, &key), "");
    for (found, named) in [
        (client("", &certificate, &key), "Secret broker key ca.crt"),
        (client(&certificate, &key, &key), "Secret broker key tls.crt"),
        (client(&certificate, &certificate, "swordfish"), "Secret broker key tls.key"),
        (client(&certificate, &certificate, &another_key), "Secret broker key tls.key"),
    ] {
        assert!(found.contains(named) && !found.contains("swordfish") && !found.contains("PRIVATE KEY"), "{found}");
    }
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
