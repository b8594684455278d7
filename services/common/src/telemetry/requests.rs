use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use metrics::{counter, histogram};

use super::{
    spans::{Span, SpanKind},
    trace_context,
};

/// Where a request says which trace it belongs to.
const TRACEPARENT: &str = "traceparent";

/// Middleware: rate, errors and duration by route, the request's span, and its trace context for everything below.
/// The label is the route, never the path, which would be one series for each task.
pub async fn track(mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = label(request.method());
    let caller = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let mut span = Span::begin(SpanKind::Server, || format!("{method} {path}").into(), caller.as_deref());
    let trace = span.traceparent().or(caller);
    // Some of what is below goes by the header.
    if let Some(own) = span.traceparent().and_then(|own| HeaderValue::try_from(own).ok()) {
        request.headers_mut().insert(TRACEPARENT, own);
    }
    let started = Instant::now();
    let response = trace_context::scope(trace.as_deref(), next.run(request)).await;
    let status = response.status();
    note(&mut span, method, &path, status);
    histogram!("http_request_duration_seconds", "method" => method, "path" => path.clone())
        .record(started.elapsed().as_secs_f64());
    counter!("http_requests_total", "method" => method, "path" => path, "status" => status.as_str().to_owned())
        .increment(1);
    response
}

/// By the names of OpenTelemetry's semantic conventions.
fn note(span: &mut Span, method: &'static str, route: &str, status: StatusCode) {
    span.set("http.request.method", method);
    span.set("http.route", route.to_owned());
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail();
    }
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
