//! What one run of the environment leaves for the next: which daemon and which way, and what the cluster was made from.
//! Everything that can be asked of the cluster itself is asked there; this holds only what cannot.

use serde::{Deserialize, Serialize};

use super::{Error, Settings, Source};

/// The cluster that was made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Where its parts came from.
    pub(super) source: Source,
    /// The daemon that its nodes run on, as `DOCKER_HOST`; none is the default one.
    pub(super) docker_host: Option<String>,
    /// Image and shape of its nodes: a cluster made from anything else is made anew.
    pub(super) recipe: String,
    /// What Dapr was installed from, once it was.
    pub(super) dapr: Option<String>,
    /// Whether the container network `kind` was there before, and is not ours to remove.
    pub(super) network_was_there: bool,
}

impl State {
    pub(super) fn read(settings: &Settings) -> Option<Self> {
        // A file that does not parse (an older release's) means that the cluster is made anew.
        std::fs::read(settings.state()).ok().and_then(|raw| serde_json::from_slice(&raw).ok())
    }

    pub(super) fn write(&self, settings: &Settings) -> Result<(), Error> {
        let path = settings.state();
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other).map_err(Error::file(&path))?;
        std::fs::write(&path, text).map_err(Error::file(&path))
    }

    pub(super) fn forget(settings: &Settings) {
        let _ = std::fs::remove_file(settings.state());
    }
}
