//! The management port: `/livez`, `/readyz`, `/metrics`. In no Service, so not reachable from outside of the cluster.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use chrono::Utc;
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    config::Settings,
    dapr,
    database::{self, Database, SECRET_STORE},
    outbox::{Broker, broker},
    telemetry,
};

/// A probe's own limit is a little longer.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Health {
    database: Option<Database>,
    dapr: dapr::Client,
    needed: Arc<[&'static str]>,
    broker: Option<Broker>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    ok: bool,
    message: String,
}

impl Check {
    fn good() -> Self {
        Self { ok: true, message: "ok".to_owned() }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self { ok: false, message: message.into() }
    }
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    checks: BTreeMap<&'static str, Check>,
    /// Components that the service needs, for people: that the sidecar has loaded one does not say that what is behind it answers.
    components: BTreeMap<&'static str, Check>,
    /// The broker, of a service that publishes events, for people. One that is away does not make a pod unready.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<broker::Report>,
}

/// The management routes. A service without a database passes none, and one that publishes no events no broker; `components` are the
/// names of those that it works with, beside the one by which it reads where its database is. More routes can be merged.
pub fn router(
    settings: &Settings,
    database: Option<Database>,
    dapr: dapr::Client,
    components: &[&'static str],
    broker: Option<Broker>,
) -> Router {
    let reads_secrets = database.is_some() && settings.database_url.is_none();
    let needed = components.iter().copied().chain(reads_secrets.then_some(SECRET_STORE)).collect();
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Health { database, dapr, needed, broker })
}

async fn metrics() -> Result<String, StatusCode> {
    let handle = telemetry::metrics_handle().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(handle.render())
}

async fn readyz(State(health): State<Health>) -> (StatusCode, Json<Readiness>) {
    let database = async {
        match &health.database {
            Some(database) => Some(check_database(database).await),
            None => None,
        }
    };
    let (database, sidecar, loaded) = tokio::join!(database, check_sidecar(&health.dapr), loaded(&health.dapr));
    let components = check_components(&health.needed, loaded.as_deref());
    let checks: BTreeMap<_, _> =
        database.map(|check| ("database", check)).into_iter().chain([("sidecar", sidecar)]).collect();
    let ready = checks.values().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let broker = health.broker.map(|broker| broker.report(Utc::now()));
    (status, Json(Readiness { ready, checks, components, broker }))
}

async fn check_database(database: &Database) -> Check {
    let pool = match database.state() {
        database::State::Ready(pool) => pool,
        database::State::Starting(what) => return Check::bad(what),
        database::State::InUse(by) => return Check::bad(format!("the database belongs to the platform {by}")),
        database::State::Failed(words) => return Check::bad(words),
    };
    match timeout(LIMIT, sqlx::query("SELECT 1").execute(&pool)).await {
        Ok(Ok(_)) => Check::good(),
        Ok(Err(error)) => Check::bad(error.to_string()),
        Err(_) => Check::bad("the database gives no answer"),
    }
}

async fn check_sidecar(dapr: &dapr::Client) -> Check {
    match timeout(LIMIT, dapr.outbound_ready()).await {
        Ok(true) => Check::good(),
        Ok(false) => Check::bad("the sidecar has not loaded its components"),
        Err(_) => Check::bad("the sidecar gives no answer"),
    }
}

/// What the sidecar has loaded; nothing if it does not say.
async fn loaded(dapr: &dapr::Client) -> Option<Vec<dapr::Component>> {
    match timeout(LIMIT, dapr.metadata()).await {
        Ok(Ok(metadata)) => Some(metadata.components),
        _ => None,
    }
}

fn check_components(needed: &[&'static str], loaded: Option<&[dapr::Component]>) -> BTreeMap<&'static str, Check> {
    let check = |name: &&'static str| match loaded {
        None => Check::bad("the sidecar does not say what it has loaded"),
        Some(loaded) if loaded.iter().any(|component| component.name == *name) => Check::good(),
        Some(_) => Check::bad("missing: the sidecar has not loaded it; its log says why"),
    };
    needed.iter().map(|name| (*name, check(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_that_is_needed_is_named_whether_it_is_loaded_or_missing() {
        let loaded = |name: &str| dapr::Component { name: name.to_owned(), type_: String::new() };
        let needed = ["kafka-pubsub", "statestore"];
        let checks = check_components(&needed, Some(&[loaded("kafka-pubsub"), loaded("of-somebody-else")]));
        let ok: Vec<_> = checks.iter().map(|(name, check)| (*name, check.ok)).collect();
        assert_eq!(ok, [("kafka-pubsub", true), ("statestore", false)]);
        assert!(checks["statestore"].message.starts_with("missing"));
        assert!(check_components(&needed, None).values().all(|check| !check.ok));
        assert!(check_components(&[], None).is_empty());
    }
}
