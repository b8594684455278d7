//! A platform that comes to somebody else's Kafka with an account that may do nothing there, and is granted one right after the
//! other.

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use todo_e2e::harness::{Namespace, Platform, until};

use crate::{
    broker::{self, Authority, Broker, PASSWORD, SCRAM},
    encrypted::{TOPICS, is_not_ready, of, spec, works},
};

/// Whose account it is, as the status has it.
const WHO: &str = "the user in Secret access key user";

#[tokio::test]
async fn each_right_that_an_account_lacks_is_named_until_it_is_granted() {
    Namespace::with("granted", async |namespace| {
        let authority = Authority::new("theirs")?;
        let broker = Broker::with_rights(&namespace, &authority).await?;
        let access = json!({"user": "todo", "pass": PASSWORD, "ca.crt": authority.certificate});
        broker::apply::<Secret>(&namespace, "access", json!({"stringData": access})).await?;
        broker.runs(&namespace).await?;
        broker.make_topics(&TOPICS).await?;
        let topics: Vec<&str> = TOPICS.iter().flat_map(|topic| ["--topic", topic]).collect();

        let scram = json!({"scram": {"mechanism": "SCRAM-SHA-512", "username": of("user"), "password": of("pass")}});
        let platform = Platform::apply(&namespace, "todo", spec(&broker, SCRAM, &scram)).await?;
        lacks(&platform, "InfrastructureReady", "TopicsMissing", &["may not see", "Read and Write"]).await?;
        broker.grant(&namespace, "Describe", &topics).await?;
        lacks(&platform, "DataPathVerified", "NotPublished", &["may not write", "Write on the topics"]).await?;
        broker.grant(&namespace, "Write", &topics).await?;
        let consuming = ["Read on the topics", "consumer group todo-service-group"];
        lacks(&platform, "DataPathVerified", "NotConsumed", &consuming).await?;
        broker.grant(&namespace, "Read", &topics).await?;
        broker.grant(&namespace, "Read", &["--group", "todo-service-group"]).await?;
        works(&platform, "ada").await
    })
    .await;
}

/// The platform says which right is lacking, and who lacks it.
async fn lacks(platform: &Platform, condition: &str, reason: &str, words: &[&str]) -> anyhow::Result<()> {
    let all: Vec<_> = [WHO].iter().chain(words).chain(&TOPICS).collect();
    until(&format!("{condition} is {reason}, with {all:?}"), Platform::READY, async || {
        let told = platform.condition(condition).await?.filter(|one| one.status == "False" && one.reason == reason);
        Ok(told.filter(|told| all.iter().all(|word| told.message.contains(**word))).map(drop))
    })
    .await?;
    is_not_ready(platform).await
}
