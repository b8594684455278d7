//! Whether the sidecar passes event streams from service to service. Before 1.17 it reads an answer to its end before
//! it passes it on: a stream would keep one of the backend's places for calls and show nothing, but one that ends with its first event
//! arrives with it.

use std::sync::Arc;

use axum::http::StatusCode;
use todo_common::{dapr, problem::Problem};
use tokio::sync::OnceCell;

/// First release line with streams.
const FIRST: (u32, u32) = (1, 17);

/// What is known about the sidecar. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    sidecar: dapr::Client,
    /// Asked once: a sidecar of another version comes with another pod.
    version: Arc<OnceCell<String>>,
}

impl Streams {
    pub(crate) fn new(sidecar: dapr::Client) -> Self {
        Self { sidecar, version: Arc::default() }
    }

    /// Version of the sidecar, or nothing while it does not answer.
    async fn version(&self) -> Option<&str> {
        let ask = async || self.sidecar.metadata().await.map(|metadata| metadata.runtime_version);
        self.version.get_or_try_init(ask).await.ok().map(String::as_str)
    }

    /// Whether streams arrive while they go on; a problem while the sidecar does not answer.
    pub(crate) async fn arrive(&self) -> Result<bool, Problem> {
        let problem = || {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-streams", "There are no event streams")
                .detail("the Dapr sidecar of the page does not answer; try again in a few seconds")
        };
        self.version().await.map(has_streams).ok_or_else(problem)
    }
}

/// A version that cannot be read, such as `edge`, is a build of the newest source.
fn has_streams(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']).map_while(|part| part.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= FIRST,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_came_with_1_17() {
        for (version, expected) in [
            ("1.16.0", false),
            ("1.16.19", false),
            ("1.9.0", false),
            ("1.17.0", true),
            ("v1.17.0-rc.1", true),
            ("2.0.0", true),
            ("edge", true),
        ] {
            assert_eq!(has_streams(version), expected, "{version}");
        }
    }
}
