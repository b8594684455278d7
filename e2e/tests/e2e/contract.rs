//! Whether what people are answered at the page's address, by way of the page and two sidecars, is what the documents say.
//! Each service is tried with many more requests by its own tests.

use std::time::Duration;

use futures::future::try_join_all;
use reqwest::Method;
use serde_json::json;
use todo_e2e::{
    command::Command,
    harness::{Python, forward::Forward},
};

use crate::shared;

/// What is generated is the same each time.
const SEED: &str = "5545";
/// Requests of each operation and phase.
const EXAMPLES: &str = "3";
const LIMIT: Duration = Duration::from_mins(4);
const HELP: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/services/common/src/testing");

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_at_the_pages_address_is_as_the_documents_say() {
    shared::with("contract", async |platform, user| {
        let (client, namespace) = (&platform.namespace.env.client, &platform.namespace.name);
        let page = Forward::to_app(client, namespace, "frontend-service", 8080).await?;
        let python = Python::judges(platform.namespace.env.cluster.settings()).await?;
        for document in ["/api/openapi.json", "/api/notifications/openapi.json"] {
            let schemathesis = Command::new(python.program())
                .args(["-m", "schemathesis.cli", "--config-file", &format!("{HELP}/schemathesis.toml")])
                .args(["run", &page.url(document), "--seed", SEED, "--max-examples", EXAMPLES, "--no-color"])
                .args(["--header", &format!("x-user-id: {user}")])
                // A stream is silent for longer than an answer is waited for; `live` looks at it.
                .args(["--exclude-path", "/api/events"])
                .env("SCHEMATHESIS_HOOKS", format!("{HELP}/schemathesis_formats.py"))
                // Reports and found examples stay out of the checkout.
                .dir(std::env::temp_dir());
            let ended = schemathesis.limit(LIMIT).end().await?;
            anyhow::ensure!(
                ended.status.success(),
                "{document}, with the seed {SEED}:\n{}\n{}",
                ended.output,
                ended.tail
            );
        }
        Ok(())
    })
    .await;
}

/// People who ask at the same time, and how often each does.
const CROWD: usize = 4;
const ROUNDS: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_disturbs_no_other_request() {
    shared::with("refused", async |platform, user| {
        let page = platform.busy_page().await?;
        let read = format!("/api/notifications?user_id={user}&limit=1");
        // Sidecars send a body some time after the head, so one that is not looked at is still on its way then.
        let long = "x".repeat(60_000);
        let requests = [
            (Method::PUT, "/api/tasks", json!({"title": long}), 405),
            (Method::PATCH, "/api/notifications", json!({"title": long}), 405),
            (Method::POST, "/api/notifications/none", json!({"user_id": user}), 404),
            (Method::DELETE, "/api/tasks/none", json!({"user_id": user}), 404),
            (Method::POST, "/api/tasks", json!({"user_id": user, "title": 1}), 422),
            (Method::GET, &read, json!(null), 200),
        ];
        let ask = async |person: usize| {
            for round in 0..ROUNDS {
                let (method, path, body, status) = &requests[(person + round) % requests.len()];
                page.send(method.clone(), path, &[], body).await?.expect(*status)?;
            }
            anyhow::Ok(())
        };
        try_join_all((0..CROWD).map(ask)).await?;
        Ok(())
    })
    .await;
}
