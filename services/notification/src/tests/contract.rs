//! The OpenAPI document.

use serde_json::Value;
use todo_common::testing::{keeps_its_contract, with_database};

use super::{call, receiver::Service};
use crate::{
    senders::address::{Outbound, Reach},
    settings::Settings,
};

/// Nothing is sent here, because no dispatcher runs.
fn settings() -> Settings {
    let webhooks = Outbound { reach: Reach::Loopback, ports: vec![443] };
    let ntfy = "http://127.0.0.1:9/".parse().unwrap();
    Settings { webhooks: Some(webhooks), ntfy: Some(ntfy), ..Settings::default() }
}

#[tokio::test]
async fn the_document_describes_every_route_that_people_call() {
    with_database(|pool| async move {
        let app = Service::new(&pool, settings()).app;
        let (_, mut document) = call(&app, "GET", "/api/notifications/openapi.json", Value::Null).await;
        document["info"]["version"] = "any".into();
        insta::assert_json_snapshot!(document);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_says() {
    with_database(|pool| async move { keeps_its_contract(Service::new(&pool, settings()).app).await }).await;
}
