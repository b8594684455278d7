//! Which path goes where.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware,
    response::Response,
    routing::{any, get},
};
use serde_json::{Value, json};
use todo_common::{auth, config::Settings};

use crate::{
    forward::{Forwarder, Target},
    hosts::{self, Hosts},
    origin,
    page::Page,
};

/// Nothing but the page's own files, and no page may show this one in a frame. Forms are sent by script only.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
     manifest-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// All routes of the frontend.
pub(crate) fn build(settings: &Settings, hosts: Hosts, page: Page, forwarder: Forwarder) -> Router {
    let files = Router::new()
        .route("/", get(|State(page): State<Page>, headers: HeaderMap| async move { page.answer("/", &headers) }))
        .route("/{*path}", get(file))
        .with_state(page);
    let services = Router::new()
        .route("/api/{*path}", any(|state, request| forward(state, Target::Backend, request)))
        .route("/mcp", any(|state, request| forward(state, Target::Backend, request)))
        .route("/api/notifications", any(|state, request| forward(state, Target::Notification, request)))
        .route("/api/notifications/{*path}", any(|state, request| forward(state, Target::Notification, request)))
        .with_state(forwarder)
        .layer(middleware::from_fn(origin::own_only))
        .layer(middleware::from_fn_with_state(hosts, hosts::known_only));
    let sidecar = Router::new()
        .route("/dapr/subscribe", get(|| async { Json(json!([])) }))
        .route("/dapr/config", get(|| async { Json::<Value>(json!({})) }));
    files
        .merge(services)
        .merge(auth::require_app_token(sidecar, settings))
        .layer(middleware::map_response(with_security_headers))
}

async fn file(State(page): State<Page>, request: Request) -> Response {
    page.answer(request.uri().path(), request.headers())
}

async fn forward(State(forwarder): State<Forwarder>, target: Target, request: Request) -> Response {
    forwarder.forward(target, request).await
}

async fn with_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
