//! A platform with somebody else's Kafka, which it goes through by each way of saying who it is.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{Pod, Secret},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::api::ListParams;
use serde_json::{Value, json};
use todo_e2e::harness::{Namespace, Platform, until};

use crate::{
    broker::{self, ANYBODY, Authority, Broker, CERTIFICATE, Identity, PASSWORD, PLAIN, PLAIN_PASSWORD, SCRAM},
    conversation, shared,
};

const TOLD: Duration = Duration::from_secs(40);
const NOT_THE_PASSWORD: &str = "not-the-password";
pub(crate) const TOPICS: [&str; 4] = ["reminders", "reminders-dead", "task-events", "task-events-dead"];
/// What no status may have in it.
const SECRET: [&str; 5] = [PASSWORD, PLAIN_PASSWORD, NOT_THE_PASSWORD, "PRIVATE KEY", "BEGIN CERTIFICATE"];

#[tokio::test]
async fn a_broker_with_an_authority_of_its_own_is_used_by_each_way_of_signing_in_once_it_is_right() {
    Namespace::with("encrypted", async |namespace| {
        let (right, wrong) = (Authority::new("the right one")?, Authority::new("another one")?);
        let broker = Broker::make(&namespace, &right).await?;
        let (ours, not_ours) = (right.sign("todo", &[])?, wrong.sign("todo", &[])?);
        let access = async |authority: &Authority, password: &str| {
            let values = secrets(authority, password, &ours, &not_ours);
            broker::apply::<Secret>(&namespace, "access", json!({"stringData": values})).await
        };

        access(&wrong, NOT_THE_PASSWORD).await?;
        let scram = json!({"scram": {"mechanism": "SCRAM-SHA-512", "username": of("user"), "password": of("pass")}});
        let platform = Platform::apply(&namespace, "todo", spec(&broker, SCRAM, &scram)).await?;
        broker.runs(&namespace).await?;
        is_refused_for(&platform, "Secret access key ca.crt has not signed").await?;
        access(&right, NOT_THE_PASSWORD).await?;
        is_refused_for(&platform, "with the password in Secret access key pass").await?;
        access(&right, PASSWORD).await?;
        lacks_topics(&platform).await?;
        broker.make_topics(&TOPICS).await?;
        works(&platform, "ada").await?;

        let plain = |key: &str| json!({"plain": {"username": of("user"), "password": of(key)}});
        let mtls = |name: &str| json!({"mtls": {"certificate": of(&format!("{name}.crt")), "key": of(&format!("{name}.key"))}});
        for (user, port, wrong, why, right) in [
            ("bob", PLAIN, plain("pass"), "with the password in Secret access key pass", plain("plain-pass")),
            ("carol", CERTIFICATE, mtls("not-ours"), "the certificate in Secret access key not-ours.crt", mtls("ours")),
        ] {
            Platform::apply(&namespace, "todo", spec(&broker, port, &wrong)).await?;
            is_told_while_events_go_on(&platform, why).await?;
            Platform::apply(&namespace, "todo", spec(&broker, port, &right)).await?;
            works(&platform, user).await?;
        }

        // The other implementation of the state store comes with it, as it costs the same rollout.
        let mut with_v2 = spec(&broker, ANYBODY, &Value::Null);
        with_v2["stateStore"] = json!({"version": "v2"});
        Platform::apply(&namespace, "todo", with_v2).await?;
        works(&platform, "dora").await?;
        // Those from before have the other one's conversations, and answer as long as they end.
        until("the backend is the new one alone", Platform::READY, async || {
            let pods = namespace.api::<Pod>().list(&ListParams::default().labels("app=backend-service")).await?;
            Ok((pods.items.len() == 1).then_some(()))
        })
        .await?;
        conversation::is_saved_read_and_deleted(&platform, "erin").await?;
        conversation::is_kept_whole_when_two_speak_at_once(&platform, "erin").await
    })
    .await;
}

/// What the platform may read of its way to the broker.
fn secrets(authority: &Authority, password: &str, ours: &Identity, not_ours: &Identity) -> Value {
    json!({
        "user": "todo", "pass": password, "plain-pass": PLAIN_PASSWORD, "ca.crt": authority.certificate,
        "ours.crt": ours.certificate, "ours.key": ours.key,
        "not-ours.crt": not_ours.certificate, "not-ours.key": not_ours.key,
    })
}

/// A reference to one of them.
pub(crate) fn of(key: &str) -> Value {
    json!({"secretKeyRef": {"name": "access", "key": key}})
}

/// A platform that reaches the broker at this port, and says so who it is.
pub(crate) fn spec(broker: &Broker, port: u16, auth: &Value) -> Value {
    let brokers = [format!("{}:{port}", broker.host)];
    let mut external = json!({"brokers": brokers, "tls": {"caCertificate": of("ca.crt")}});
    if !auth.is_null() {
        external["auth"] = auth.clone();
    }
    json!({"kafka": {"external": external}, "services": {"backend": {"replicas": 1}}})
}

/// The platform says what has to be put right.
async fn is_refused_for(platform: &Platform, words: &str) -> anyhow::Result<()> {
    let refused = told(platform, "False", words).await?;
    assert_eq!(refused.reason, "KafkaUnreachable", "{}", refused.message);
    is_not_ready(platform).await
}

/// It names the topics that it needs, and says who has to make them.
async fn lacks_topics(platform: &Platform) -> anyhow::Result<()> {
    let lacking = told(platform, "False", "no topic").await?;
    assert_eq!(lacking.reason, "TopicsMissing", "{}", lacking.message);
    for word in TOPICS.into_iter().chain(["create"]) {
        assert!(lacking.message.contains(word), "{word} is not in: {}", lacking.message);
    }
    is_not_ready(platform).await
}

/// It says what has to be put right for new pods, while those from before serve on.
async fn is_told_while_events_go_on(platform: &Platform, words: &str) -> anyhow::Result<()> {
    told(platform, "True", words).await?;
    platform.wait("Ready", "True", TOLD).await.map(drop)
}

/// Waits until the status has these words on Kafka, and nothing in it that is secret.
async fn told(platform: &Platform, status: &str, words: &str) -> anyhow::Result<Condition> {
    let condition = until(words, TOLD, async || {
        let condition = platform.condition("InfrastructureReady").await?;
        Ok(condition.filter(|one| one.status == status && one.message.contains(words)))
    })
    .await?;
    let whole = serde_json::to_string(&platform.get().await?.status)?;
    for secret in SECRET {
        assert!(!whole.contains(secret), "{secret} is in {whole}");
    }
    Ok(condition)
}

pub(crate) async fn is_not_ready(platform: &Platform) -> anyhow::Result<()> {
    assert_eq!(platform.condition("Ready").await?.map(|one| one.status).as_deref(), Some("False"));
    Ok(())
}

/// All pods are of the present spec, and an event goes the whole way by them.
pub(crate) async fn works(platform: &Platform, user: &str) -> anyhow::Result<()> {
    platform.wait("Progressing", "False", Platform::READY).await?;
    let ready = platform.ready().await?;
    assert_eq!(ready.reason, "DataPathVerified", "{}", ready.message);
    let page = platform.page().await?;
    shared::complete_a_daily_task(&page, user).await?;
    let is_there = async || Ok((shared::tasks(&page, user).await?.len() == 2).then_some(()));
    until("an event made the next task", TOLD, is_there).await
}
