//! The sidecar's HTTP API. Every call has a time limit; none is repeated here, because Dapr's resiliency and the callers do that.

mod error;
mod invoke;
mod jobs;
mod publish;
mod sidecar;
mod state;

use std::time::Duration;

use reqwest::{RequestBuilder, Response};

pub use error::Error;
pub use publish::Event;
pub use sidecar::{Component, Metadata};
pub use state::Etag;

use crate::telemetry::trace_context;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one call of the sidecar. Invocation of other services has the same limit.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// A way to the sidecar. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
}

impl Client {
    /// A client of the sidecar at `endpoint`, for example `http://localhost:3500`.
    pub fn new(endpoint: &str) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // The sidecar is on loopback; a proxy of the environment would only get in between.
            .no_proxy()
            .build()
            .map_err(|source| Error::Transport { operation: "setting up the client", source })?;
        Ok(Self { http, endpoint: endpoint.trim_end_matches('/').to_owned() })
    }

    fn url(&self, segments: &[&str]) -> Result<reqwest::Url, Error> {
        let mut url = reqwest::Url::parse(&self.endpoint).map_err(|_| Error::Endpoint)?;
        // Segments are encoded one by one: no name can leave its place.
        url.path_segments_mut().map_err(|()| Error::Endpoint)?.pop_if_empty().extend(segments);
        Ok(url)
    }
}

/// Sends with the caller's trace context; an answer of any status is an answer.
async fn send(operation: &'static str, request: RequestBuilder) -> Result<Response, Error> {
    let request = match trace_context::current() {
        Some(parent) => request.header("traceparent", parent),
        None => request,
    };
    request.send().await.map_err(|source| Error::Transport { operation, source: source.without_url() })
}

/// Anything but 2xx is an error with Dapr's own words.
async fn success(operation: &'static str, response: Response) -> Result<Response, Error> {
    if response.status().is_success() { Ok(response) } else { Err(Error::refused(operation, response).await) }
}
