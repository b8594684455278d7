//! What goes wrong. Each is over when it returns; what it broke may still be on its way back.

use std::{fmt, time::Duration};

use sqlx::AssertSqlSafe;
use tokio::time::sleep;

use super::{Ground, ground::Pace};
use crate::harness::until;

/// What a nemesis needs may be on its way back from the fault before.
const BACK: Duration = Duration::from_mins(2);
/// Kafka's programs take some seconds each to start, and many on a busy machine.
const CHANGED: Duration = Duration::from_mins(2);
/// Longest message that a topic takes which refuses long ones.
const NOT_LONG: usize = super::clients::LONG_NOTES / 2;
/// No message is so short.
const NONE: usize = 1;

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
    /// The database ends sessions as they commit what they have written of an event, so that the commit fails.
    EndSessions,
    /// A topic takes no messages with more bytes than this; of all else the broker goes on as before.
    Refuse(&'static str, usize),
}

const BACKEND: &str = "backend-service";
const CONSUMER: &str = "recurring-task-service";
const NOTIFICATION: &str = "notification-service";
const FRONTEND: &str = "frontend-service";
/// The program of each service, as its image names it.
const SERVICE: &str = "/service";

impl Nemesis {
    /// All that a run lets loose.
    pub const ALL: [Self; 23] = [
        Self::KillPod(BACKEND),
        Self::KillPod(CONSUMER),
        Self::KillPod(NOTIFICATION),
        Self::KillPod(FRONTEND),
        Self::KillPod("kafka"),
        Self::KillPod("postgres"),
        Self::KillSidecar(BACKEND),
        Self::KillSidecar(CONSUMER),
        Self::Freeze(BACKEND, SERVICE),
        Self::Freeze(CONSUMER, SERVICE),
        Self::Freeze(NOTIFICATION, SERVICE),
        Self::Freeze(FRONTEND, SERVICE),
        Self::Freeze(BACKEND, "daprd"),
        Self::Freeze(CONSUMER, "daprd"),
        Self::Freeze(NOTIFICATION, "daprd"),
        Self::Freeze("kafka", "kafka.Kafka"),
        Self::Freeze("postgres", "postgres"),
        Self::Partition(BACKEND, "kafka"),
        Self::Partition(CONSUMER, "postgres"),
        Self::Restart(BACKEND),
        Self::EndSessions,
        Self::Refuse("task-events", NOT_LONG),
        Self::Refuse("reminders-dead", NONE),
    ];

    /// Does it.
    pub(super) async fn strike(self, ground: &Ground, pace: &Pace) -> anyhow::Result<()> {
        match self {
            Self::EndSessions => end_sessions(ground, pace.hold).await,
            Self::Refuse(topic, bytes) => refuse(ground, topic, bytes, pace.hold).await,
            // Then reminders are on their way while their tasks are moved.
            Self::Freeze(NOTIFICATION, "daprd") => ground.strike(self, pace.tick).await,
            _ => ground.strike(self, pace.hold).await,
        }
    }
}

/// By a trigger that waits for the commit and knows when its time is over, so that it need not be removed: that would wait
/// for whoever writes. The relay only marks events and is left alone: it commits after the broker has answered, and would
/// publish the same again and again.
async fn end_sessions(ground: &Ground, hold: Duration) -> anyhow::Result<()> {
    const TABLES: [&str; 3] = ["outbox", "inbox", "notifications"];
    let seconds = hold.as_secs();
    let dice = format!(
        "DO $do$ BEGIN EXECUTE format($format$
            CREATE OR REPLACE FUNCTION chaos_end_session() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
                IF random() < 0.3 AND clock_timestamp() < %L THEN
                    PERFORM pg_terminate_backend(pg_backend_pid());
                    PERFORM pg_sleep(1);
                END IF;
                RETURN NULL;
            END $body$ $format$, clock_timestamp() + interval '{seconds} seconds'); END $do$"
    );
    let (mut database, _forward) =
        until("the database answers", BACK, async || Ok(Some(ground.database().await?))).await?;
    sqlx::raw_sql(AssertSqlSafe(dice)).execute(&mut database).await?;
    for table in TABLES {
        let there =
            "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'chaos_end_session' AND tgrelid = $1::regclass)";
        if sqlx::query_scalar(there).bind(table).fetch_one(&mut database).await? {
            continue;
        }
        let trigger = format!(
            "CREATE CONSTRAINT TRIGGER chaos_end_session AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION chaos_end_session()"
        );
        sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut database).await?;
    }
    sleep(hold).await;
    Ok(())
}

async fn refuse(ground: &Ground, topic: &str, bytes: usize, hold: Duration) -> anyhow::Result<()> {
    const ALTER: &str = "export KAFKA_HEAP_OPTS=-Xmx128m
        exec /opt/kafka/bin/kafka-run-class.sh kafka.admin.ConfigCommand --bootstrap-server $0 --entity-type topics --entity-name $1 --alter \"$2\" \"$3\"";
    const SETTING: &str = "max.message.bytes";
    let setting = format!("{SETTING}={bytes}");
    let alter = async |how, what| {
        until("the broker changes a topic", CHANGED, async || {
            Ok(Some(ground.in_broker(ALTER, &[topic, how, what]).await?))
        })
        .await
    };
    alter("--add-config", &setting).await?;
    sleep(hold).await;
    alter("--delete-config", SETTING).await?;
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
            Self::EndSessions => write!(f, "sessions of the database end as they commit"),
            Self::Refuse(topic, bytes) => write!(f, "{topic} takes no messages of more than {bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_the_broker_and_the_database_are_killed_and_frozen() {
        for app in [BACKEND, CONSUMER, NOTIFICATION, FRONTEND, "kafka", "postgres"] {
            assert!(Nemesis::ALL.contains(&Nemesis::KillPod(app)), "{app} is not killed");
            let freezes = |nemesis: &Nemesis| match nemesis {
                Nemesis::Freeze(of, process) => *of == app && *process != "daprd",
                _ => false,
            };
            assert!(Nemesis::ALL.iter().any(freezes), "{app} is not frozen");
        }
    }
}
