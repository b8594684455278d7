use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use metrics::{counter, histogram};

use super::trace_context;

/// Middleware: rate, errors and duration by route, and the request's trace context for everything below.
/// The label is the route, never the path, which would be one series for each task.
pub async fn track(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().as_str().to_owned();
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let started = Instant::now();
    let response = trace_context::scope(parent.as_deref(), next.run(request)).await;
    let status = response.status().as_str().to_owned();
    histogram!("http_request_duration_seconds", "method" => method.clone(), "path" => path.clone())
        .record(started.elapsed().as_secs_f64());
    counter!("http_requests_total", "method" => method, "path" => path, "status" => status).increment(1);
    response
}
