//! What goes wrong. Each is over when it returns; what it broke may still be on its way back.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::Ground;

/// Between two looks for sessions that are about to commit, which is a moment of less than a millisecond.
const LOOK: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nemesis {
    /// A pod of this app ends without a word.
    KillPod(&'static str),
    /// The sidecar of this app ends without a word.
    KillSidecar(&'static str),
    /// The process of this pod, with this in its command line, stops and goes on later.
    Freeze(&'static str, &'static str),
    /// No packet gets from pods of the one app to those of the other.
    Partition(&'static str, &'static str),
    /// A rolling restart of this app, as `kubectl rollout restart` does it.
    Restart(&'static str),
    /// The database ends sessions within transactions, most often those that have written an event and are about to commit.
    EndSessions,
}

const BACKEND: &str = "backend-service";
const CONSUMER: &str = "recurring-task-service";
const NOTIFICATION: &str = "notification-service";

impl Nemesis {
    /// All that a run lets loose.
    pub const ALL: [Self; 16] = [
        Self::KillPod(BACKEND),
        Self::KillPod(CONSUMER),
        Self::KillPod(NOTIFICATION),
        Self::KillPod("kafka"),
        Self::KillPod("postgres"),
        Self::KillSidecar(BACKEND),
        Self::KillSidecar(CONSUMER),
        Self::Freeze(CONSUMER, "todo-recurring-task"),
        Self::Freeze(CONSUMER, "daprd"),
        Self::Freeze(NOTIFICATION, "daprd"),
        Self::Freeze("kafka", "kafka.Kafka"),
        Self::Freeze("postgres", "postgres"),
        Self::Partition(BACKEND, "kafka"),
        Self::Partition(CONSUMER, "postgres"),
        Self::Restart(BACKEND),
        Self::EndSessions,
    ];

    /// Does it; what is frozen or cut off is so for `hold`.
    pub(super) async fn strike(self, ground: &Ground, hold: Duration) -> anyhow::Result<()> {
        match self {
            Self::EndSessions => end_sessions(ground, hold).await,
            _ => ground.strike(self, hold).await,
        }
    }
}

/// Without the relay's, which holds its transaction for as long as the broker takes and would never get through.
async fn end_sessions(ground: &Ground, hold: Duration) -> anyhow::Result<()> {
    const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE usename = current_user AND pid <> pg_backend_pid() AND state = 'idle in transaction'
          AND (query LIKE 'INSERT INTO outbox%' OR (query LIKE 'INSERT INTO%' AND random() < 0.3))";
    // The database may be on its way back.
    let Ok((mut database, _forward)) = ground.database().await else { return Ok(()) };
    let begun = Instant::now();
    while begun.elapsed() < hold {
        sqlx::query(END).execute(&mut database).await?;
        sleep(LOOK).await;
    }
    Ok(())
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillPod(app) => write!(f, "a pod of {app} is killed"),
            Self::KillSidecar(app) => write!(f, "the sidecar of {app} is killed"),
            Self::Freeze(app, process) => write!(f, "{process} of {app} freezes"),
            Self::Partition(from, to) => write!(f, "{from} is cut off from {to}"),
            Self::Restart(app) => write!(f, "{app} is restarted"),
            Self::EndSessions => write!(f, "sessions of the database end within transactions"),
        }
    }
}
