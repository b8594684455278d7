//! Says what is being done, how far it is, and how long it took last time.
//!
//! Some steps of a first run take minutes. A person who waits sees each step as it starts, with the time that it took the
//! last time on this machine; where nobody looks at a terminal (CI), a line every half minute shows that it still moves.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

const HEARTBEAT: Duration = Duration::from_secs(30);

/// The steps of a job, and the memory of how long each took.
#[derive(Debug, Clone)]
pub struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: AtomicUsize,
    expected: AtomicUsize,
    durations: PathBuf,
    terminal: bool,
}

impl Progress {
    /// Progress that remembers durations in this folder.
    pub fn new(cache: &Path) -> Self {
        Self {
            shared: Arc::new(Shared {
                started: AtomicUsize::new(0),
                expected: AtomicUsize::new(0),
                durations: cache.join("durations.json"),
                terminal: std::io::stderr().is_terminal(),
            }),
        }
    }

    /// Adds to the number of steps that are announced ("[3/9]").
    pub fn expect(&self, steps: usize) {
        self.shared.expected.fetch_add(steps, Ordering::Relaxed);
    }

    /// Starts a step. `key` is what its duration is remembered by; `title` says what is being done ("building …").
    pub fn step(&self, key: &str, title: impl Into<String>) -> Step {
        let number = self.shared.started.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.shared.expected.load(Ordering::Relaxed).max(number);
        let (title, tail) = (format!("[{number}/{total}] {}", title.into()), Tail::default());
        let before = durations(&self.shared.durations).get(key).copied();
        match before.map(Duration::from_secs) {
            Some(before) if before.as_secs() >= 2 => eprintln!("{title} (took {} last time)", human(before)),
            _ => eprintln!("{title}"),
        }
        let start = Instant::now();
        let heartbeat = tokio::spawn(beat(title, tail.clone(), start, self.shared.terminal));
        Step { key: key.to_owned(), start, tail, heartbeat, durations: self.shared.durations.clone() }
    }

    /// A step whose result is already there.
    pub fn skip(&self, title: &str) {
        let number = self.shared.started.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.shared.expected.load(Ordering::Relaxed).max(number);
        eprintln!("[{number}/{total}] {title}");
    }

    /// A remark that is no step.
    pub fn note(&self, text: &str) {
        eprintln!("      {text}");
    }
}

async fn beat(title: String, tail: Tail, start: Instant, terminal: bool) {
    // A person needs no repetition of the title, a log does: other lines may have come between.
    let prefix = if terminal { "     " } else { title.as_str() };
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let line: String = tail.get().chars().take(120).collect();
        eprintln!("{prefix} … {} so far{}{line}", human(start.elapsed()), if line.is_empty() { "" } else { ": " });
    }
}

/// A step under way. Dropping it without [`Step::done`] means that it failed: its time is not remembered.
#[derive(Debug)]
pub struct Step {
    key: String,
    start: Instant,
    tail: Tail,
    heartbeat: JoinHandle<()>,
    durations: PathBuf,
}

impl Step {
    /// Where commands of this step put their last line of output.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Ends the step and remembers how long it took.
    pub fn done(self) {
        let took = self.start.elapsed();
        if took >= Duration::from_secs(2) {
            eprintln!("      done in {}", human(took));
        }
        let mut all = durations(&self.durations);
        all.insert(self.key.clone(), took.as_secs());
        // Only a convenience: a run must not fail because it cannot be kept.
        if let Ok(text) = serde_json::to_string_pretty(&all) {
            let _ = std::fs::write(&self.durations, text);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// The last line that the commands of a step wrote.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<String>>);

impl Tail {
    /// Replaces the line.
    pub fn set(&self, line: &str) {
        line.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn durations(path: &Path) -> BTreeMap<String, u64> {
    std::fs::read(path).ok().and_then(|raw| serde_json::from_slice(&raw).ok()).unwrap_or_default()
}

/// A duration as a person says it.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_say_them() {
        let text = |seconds| human(Duration::from_secs(seconds));
        assert_eq!([text(5), text(65), text(3720)], ["5s", "1m05s", "1h02m"]);
        assert_eq!(human(Duration::from_millis(20)), "20ms");
    }
}
