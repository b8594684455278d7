//! The management port: `/livez`, `/readyz`, `/metrics`. In no Service, so not reachable from outside of the cluster.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    dapr,
    database::{self, Database},
    telemetry,
};

/// A probe's own limit is a little longer.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Health {
    database: Option<Database>,
    dapr: dapr::Client,
}

#[derive(Serialize)]
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
    /// Components that the sidecar has loaded, for people. A broker that is away does not make a pod unready.
    components: Vec<String>,
}

/// The management routes. A service without a database passes none. More routes can be merged.
pub fn router(database: Option<Database>, dapr: dapr::Client) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Health { database, dapr })
}

async fn metrics() -> Result<String, StatusCode> {
    let handle = telemetry::metrics_handle().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    // Moves samples out of the recorder's buffers; nothing else does it, as there is no listener of its own.
    handle.run_upkeep();
    Ok(handle.render())
}

async fn readyz(State(health): State<Health>) -> (StatusCode, Json<Readiness>) {
    let database = async {
        match &health.database {
            Some(database) => Some(check_database(database).await),
            None => None,
        }
    };
    let (database, sidecar, components) = tokio::join!(database, check_sidecar(&health.dapr), components(&health.dapr));
    let checks: BTreeMap<_, _> =
        database.map(|check| ("database", check)).into_iter().chain([("sidecar", sidecar)]).collect();
    let ready = checks.values().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, checks, components }))
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

async fn components(dapr: &dapr::Client) -> Vec<String> {
    match timeout(LIMIT, dapr.metadata()).await {
        Ok(Ok(metadata)) => metadata.components.into_iter().map(|component| component.name).collect(),
        _ => Vec::new(),
    }
}
