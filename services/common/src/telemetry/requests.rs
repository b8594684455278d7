use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use metrics::{counter, histogram};

use super::trace_context;

/// Middleware: rate, errors and duration by route, and the request's trace context for everything below.
/// The label is the route, never the path, which would be one series for each task.
pub async fn track(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = label(request.method());
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let started = Instant::now();
    let response = trace_context::scope(parent.as_deref(), next.run(request)).await;
    let status = response.status().as_str().to_owned();
    histogram!("http_request_duration_seconds", "method" => method, "path" => path.clone())
        .record(started.elapsed().as_secs_f64());
    counter!("http_requests_total", "method" => method, "path" => path, "status" => status).increment(1);
    response
}

/// Any word can be a method, and each would be a series of its own.
fn label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_nobody_knows_makes_no_series() {
        assert_eq!(label(&Method::PATCH), "PATCH");
        assert_eq!(label(&Method::from_bytes(b"XYZZY").unwrap()), "other");
    }
}
