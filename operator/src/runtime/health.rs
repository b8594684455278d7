//! The operator's own `/livez`, `/readyz` and `/metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{lease::Leadership, metrics};

/// Returns what is missing, each in words; nothing when all is there.
pub type Missing = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Returns how many platforms wait for a pass.
pub type Waiting = Arc<dyn Fn() -> usize + Send + Sync>;

/// Why the address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct HealthError {
    address: SocketAddr,
    source: std::io::Error,
}

/// What the routes answer from.
#[derive(Clone)]
pub struct Health {
    /// What is missing.
    pub missing: Missing,
    /// What waits.
    pub waiting: Waiting,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Whether this replica leads.
    pub leadership: Leadership,
}

/// Serves until `stop`.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    stop: CancellationToken,
) -> Result<tokio::task::JoinHandle<std::io::Result<()>>, HealthError> {
    let listener = TcpListener::bind(address).await.map_err(|source| HealthError { address, source })?;
    let routes = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(health);
    let server = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    Ok(tokio::spawn(server.into_future()))
}

/// A replica that does not lead is ready, too: it can take over. Dapr may come later and is no part of this.
async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let missing = (health.missing)();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": missing.is_empty(), "missing": missing, "leader": health.leadership.is_leader()})))
}

async fn render(State(health): State<Health>) -> String {
    metrics::waiting((health.waiting)());
    metrics::leader(health.leadership.is_leader());
    health.metrics.render()
}
