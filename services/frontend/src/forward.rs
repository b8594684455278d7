//! Passing a request to a service through the sidecar, and its answer back.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::Request,
    http::{
        Method, StatusCode, Uri,
        header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use reqwest::redirect::Policy;
use todo_common::{apps, dapr, idempotency::REQUEST_ID, problem::Problem, server::BODY_LIMIT};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    answer::{self, LONGEST_ERROR},
    headers, path,
    streams::Streams,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bodies that are read at the same time, each of up to a mebibyte of memory.
const READERS: usize = 32;
/// Longest time in which a body has to be there.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Methods that a sidecar knows: of any other it makes POST, which would change what was only to be read.
/// <https://docs.dapr.io/reference/api/service_invocation_api/>
const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];
/// The one route of which every answer is a stream.
const EVENTS: &str = "/api/events";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Tasks, conversations, MCP.
    Backend,
    /// Notifications.
    Notification,
}

impl Target {
    /// Dapr app id.
    const fn app(self) -> &'static str {
        match self {
            Self::Backend => apps::BACKEND,
            Self::Notification => apps::NOTIFICATION,
        }
    }
}

/// A way to the services. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Forwarder {
    http: reqwest::Client,
    endpoint: String,
    streams: Streams,
    readers: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Forwarder {
    /// By the sidecar at `endpoint`; streams end when `stop` is cancelled.
    pub(crate) fn new(endpoint: &str, sidecar: dapr::Client, stop: CancellationToken) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // The sidecar is on loopback, and where a service sends the browser is for the browser to follow.
            .no_proxy()
            .redirect(Policy::none())
            .build()?;
        let readers = Arc::new(Semaphore::new(READERS));
        Ok(Self { http, endpoint: endpoint.to_owned(), streams: Streams::new(sidecar), readers, stop })
    }

    /// The service's answer, or a problem that says why there is none.
    pub(crate) async fn forward(&self, target: Target, request: Request) -> Response {
        if !METHODS.contains(request.method()) {
            let allow = METHODS.each_ref().map(Method::as_str).join(", ");
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The route has no such method");
            return ([(ALLOW, allow)], problem).into_response();
        }
        match self.try_forward(target, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }

    async fn try_forward(&self, target: Target, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let mut url = self.url(target, &parts.uri)?;
        let streams = if parts.uri.path() == EVENTS {
            let arrive = self.streams.arrive().await?;
            if !arrive {
                // It ends with its first event, and the browser comes back by itself.
                let is_wish =
                    |(name, value): &(String, String)| name == "once" && ["true", "false"].contains(&value.as_str());
                let others: Vec<_> = url.query_pairs().into_owned().filter(|pair| !is_wish(pair)).collect();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair("once", "true");
            }
            arrive
        } else {
            // Elsewhere it makes no difference, and the sidecar need not be asked.
            !headers::asks_for_stream(&parts.headers) || self.streams.arrive().await.unwrap_or(false)
        };
        let body = self.read(body).await?;
        let changes = !parts.method.is_safe();
        let mut call =
            self.http.request(parts.method, url).headers(headers::of_request(&parts.headers, streams)).body(body);
        if changes {
            // A sidecar whose connection breaks sends it again, though it may have been done: by this the service knows it.
            call = call.header(REQUEST_ID, Uuid::new_v4().to_string());
        }
        let answer = call.send().await.map_err(|error| answer::transport_problem(target.app(), error))?;
        self.pass_on(target, answer).await
    }

    fn url(&self, target: Target, uri: &Uri) -> Result<reqwest::Url, Problem> {
        let refused = || {
            Problem::bad_request(
                "the path has `..`, empty parts or encoded slashes, or is encoded wrongly; write it plainly",
            )
        };
        if !path::is_plain(uri.path()) {
            return Err(refused());
        }
        let path_and_query = uri.path_and_query().map_or("", |text| text.as_str());
        let url = format!("{}/v1.0/invoke/{}/method{path_and_query}", self.endpoint, target.app());
        reqwest::Url::parse(&url).map_err(|_| refused())
    }

    /// The body in memory, so that one that is too large is an answer and not a broken connection.
    async fn read(&self, body: Body) -> Result<Bytes, Problem> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let Ok(_place) = self.readers.try_acquire() else {
            return Err(Problem::unavailable("too many requests are being read; try again"));
        };
        read(body, READ_TIMEOUT).await
    }

    async fn pass_on(&self, target: Target, answer: reqwest::Response) -> Result<Response, Problem> {
        let status = answer.status();
        let headers = headers::of_answer(answer.headers());
        if status == StatusCode::OK && !headers.contains_key(CONTENT_TYPE) {
            return Err(answer::nothing_problem(target.app()));
        }
        let body = if may_be_the_sidecars(&answer) {
            let bytes = answer.bytes().await.map_err(|error| answer::transport_problem(target.app(), error))?;
            if let Some(problem) = answer::sidecar_problem(target.app(), status, &bytes) {
                return Err(problem);
            }
            Body::from(bytes)
        } else if has_type(&answer, "text/event-stream") {
            // The listener waits for its answers when it stops, and a stream does not end by itself.
            Body::from_stream(answer.bytes_stream().take_until(self.stop.clone().cancelled_owned()))
        } else {
            Body::from_stream(answer.bytes_stream())
        };
        Ok((status, headers, body).into_response())
    }
}

async fn read(body: Body, limit: Duration) -> Result<Bytes, Problem> {
    let read = timeout(limit, to_bytes(body, BODY_LIMIT)).await.map_err(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The body did not come in time")
            .detail(format!("not all of it came within {} s", limit.as_secs()))
    })?;
    read.map_err(|_| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            .detail("at most 1 MiB is taken")
    })
}

/// Whether this may be an error of the sidecar, which is looked into: JSON of known, small size.
fn may_be_the_sidecars(answer: &reqwest::Response) -> bool {
    let length = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    (answer.status().is_client_error() || answer.status().is_server_error())
        && has_type(answer, "application/json")
        && length.is_some_and(|length| length <= LONGEST_ERROR)
}

fn has_type(answer: &reqwest::Response, wanted: &str) -> bool {
    let given = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| given.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read(body, Duration::ZERO).await.unwrap_err().status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(read(Body::from("there"), READ_TIMEOUT).await.unwrap(), "there");
    }
}
