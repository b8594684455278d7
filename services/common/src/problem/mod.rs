//! Problem details (RFC 9457): the one form in which every service says what is wrong.

mod extract;
mod fields;
mod from;

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

pub use extract::{Json, Path, Query, read};
pub use fields::{Fields, from_value};

/// Why a request was not done. `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    is_slow: bool,
}

/// A mistake in one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Name of the field as the caller wrote it, for example `recurrence.rrule`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl FieldError {
    /// A mistake in `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same mistake, where the field is a part of `outer`.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let dot = if outer.is_empty() || self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        Self { field: format!("{outer}{dot}{}", self.field), message: self.message }
    }
}

impl Problem {
    /// A problem with a stable `kind` (the end of its `type` URN) and a title that is the same for all of that kind.
    pub const fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self { status, kind, title, detail: None, errors: Vec::new(), retry_after: None, is_slow: false }
    }

    /// What is special about this one.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// When to ask again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read").detail(detail)
    }

    /// 401: the caller did not show who it is.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "The caller is not known").detail(detail)
    }

    /// 403: the caller is known and may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The caller may not do this").detail(detail)
    }

    /// 404: no such thing, or not this user's.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing").detail(detail)
    }

    /// 409: somebody else was first.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "It has been changed meanwhile").detail(detail)
    }

    /// 412: it is not what the caller has seen.
    pub fn stale(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", "It has been changed meanwhile").detail(detail)
    }

    /// 413: more than is taken.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large").detail("at most 1 MiB is taken")
    }

    /// 422: readable, but wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", "The request has wrong values").errors(errors)
    }

    /// 503 while the service has no database yet.
    pub fn starting(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "The service is starting").detail(detail)
    }

    /// 503: something that the service needs is away.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Something that is needed is away").detail(detail)
    }

    /// The same of what is there, and took too long over this one.
    pub fn slow(detail: impl Into<String>) -> Self {
        Self { is_slow: true, ..Self::unavailable(detail) }
    }

    /// 500 without inner details. The caller of this logs them.
    pub const fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The service made a mistake")
    }

    /// Whether the same may work later, because something that is needed is away.
    pub fn is_away(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Whether that may be a matter of this request alone.
    pub const fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Stable name of the kind, for example `validation`.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The problem in one sentence, as a chat or an MCP tool says it.
    pub fn sentence(&self) -> String {
        let fields = self.errors.iter().map(|error| format!("{}: {}", error.field, error.message));
        let parts: Vec<String> = self.detail.clone().into_iter().chain(fields).collect();
        if parts.is_empty() { self.title.to_owned() } else { parts.join("; ") }
    }
}

/// Why a request was not done (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Details {
    /// A URN, the same for all problems of a kind: `urn:todoplatform:problem:` and the kind.
    r#type: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is special about this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    detail: Option<String>,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Details {
            r#type: format!("urn:todoplatform:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let is_away = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(wait) = self.retry_after.or_else(|| is_away.then_some(Duration::from_secs(1))) {
            // Rounded up: who comes too early is refused again.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
        }
        response
    }
}
