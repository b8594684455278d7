//! Keeps two runs on one machine from building the same thing, or the same cluster, at once.

use std::fs::File;

use super::{Error, Settings};

/// Held until it is dropped, also when the process is killed.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else holds the lock of this name.
    pub(super) async fn acquire(settings: &Settings, name: &str) -> Result<Self, Error> {
        let path = settings.locks().join(name);
        std::fs::create_dir_all(settings.locks()).map_err(Error::file(&path))?;
        let file = File::create(&path).map_err(Error::file(&path))?;
        if file.try_lock().is_ok() {
            return Ok(Self { _file: file });
        }
        eprintln!("      another run works on {name}; waiting for it to end");
        let waiting = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
        let file = waiting.await.map_err(std::io::Error::other).flatten().map_err(Error::file(&path))?;
        Ok(Self { _file: file })
    }
}
