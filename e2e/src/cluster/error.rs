//! What can go wrong with the environment.

use std::path::{Path, PathBuf};

use crate::command;

/// Why the cluster, or a part of it, could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder can be named for the cache.
    #[error("no folder for built things: set TODO_PLATFORM_CACHE (or HOME)")]
    NoCache,
    /// A file of the environment could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A step of the environment failed.
    #[error("{step}: {source}")]
    Step {
        /// What was being done.
        step: String,
        /// The command that failed.
        source: command::Error,
    },
    /// Programs are missing that have to be installed first.
    #[error("missing on this machine: {0}")]
    Missing(String),
    /// There is no cluster to use.
    #[error("{0}")]
    NoCluster(String),
    /// Something did not come up in time.
    #[error("{what} after {}s; {hint}", limit.as_secs())]
    Timeout {
        /// What is still not so.
        what: String,
        /// How long it was waited for.
        limit: std::time::Duration,
        /// Where to look.
        hint: String,
    },
    /// `down` could not remove everything.
    #[error("left behind: {}", .0.join(", "))]
    LeftBehind(Vec<String>),
}

impl Error {
    /// For `map_err`: adds the path to an error of the file system.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { path, source }
    }

    /// For `map_err`: adds what was being done to the failure of a command.
    pub(crate) fn step(step: impl Into<String>) -> impl FnOnce(command::Error) -> Self {
        let step = step.into();
        move |source| Self::Step { step, source }
    }
}
