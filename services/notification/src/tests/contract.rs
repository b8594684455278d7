//! The OpenAPI document.

use serde_json::Value;
use todo_common::testing::{keeps_its_contract, with_database};

use super::{call, channels::everything, receiver::Service};

#[tokio::test]
async fn the_document_describes_every_route_that_people_call() {
    with_database(|pool| async move {
        let app = Service::new(&pool, everything()).app;
        let (_, mut document) = call(&app, "GET", "/api/notifications/openapi.json", Value::Null).await;
        document["info"]["version"] = "any".into();
        insta::assert_json_snapshot!(document);
    })
    .await;
}

/// With every kind of channel on offer. Nothing is sent, because no dispatcher runs.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_says() {
    with_database(|pool| async move { keeps_its_contract(Service::new(&pool, everything()).app).await }).await;
}
