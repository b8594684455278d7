//! Where images come from: pulled from registries, or built here where none can be reached.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Command;

/// What a person asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Images {
    /// Pull where registries answer, else build.
    #[default]
    Auto,
    /// Pull.
    Pull,
    /// Build.
    Build,
}

/// Where the parts of a cluster come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Published images and charts.
    Pull,
    /// Go modules, Maven and Debian packages.
    Build,
}

/// All of these have something that a cluster needs: nodes, Dapr.
const REGISTRIES: [&str; 2] = ["https://registry-1.docker.io/v2/", "https://ghcr.io/v2/"];

impl Images {
    /// Decides, asking the registries if need be.
    pub async fn resolve(self) -> Source {
        match self {
            Self::Pull => Source::Pull,
            Self::Build => Source::Build,
            Self::Auto => {
                for registry in REGISTRIES {
                    if !answers(registry).await {
                        return Source::Build;
                    }
                }
                Source::Pull
            }
        }
    }
}

impl From<Source> for Images {
    fn from(source: Source) -> Self {
        match source {
            Source::Pull => Self::Pull,
            Source::Build => Self::Build,
        }
    }
}

/// A registry answers at this path with a header of its own, to strangers with 401. A proxy that stands in its way does
/// not.
async fn answers(registry: &str) -> bool {
    let curl =
        Command::new("curl").args(["--silent", "--max-time", "8", "--output", "/dev/null", "--dump-header", "-"]);
    let headers = curl.arg(registry).limit(Duration::from_secs(12)).run().await.unwrap_or_default();
    headers.to_ascii_lowercase().contains("docker-distribution-api-version")
}
