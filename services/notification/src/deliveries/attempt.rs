//! One attempt, from the claim to the mark.

use std::time::Duration;

use metrics::{Counter, counter};
use sqlx::PgPool;
use todo_common::database::{self, answered};
use tokio::time::timeout;

use super::{State, backoff, claim, claim::Claimed};
use crate::{
    channels::{self, Kind},
    reminders,
    senders::{Failure, Senders, Verdict},
};

/// Longest attempt; SMTP has several steps, each with a limit of its own. Shorter than a claim, and than a shutdown.
const LIMIT: Duration = Duration::from_secs(18);

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Sent,
    Cancelled(String),
    Retry { wait: Duration, patience: Duration, words: String },
    Failed { words: String, gone: bool },
}

impl Outcome {
    const LABELS: [&str; 4] = ["sent", "cancelled", "retry", "failed"];

    const fn label(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Cancelled(_) => "cancelled",
            Self::Retry { .. } => "retry",
            Self::Failed { .. } => "failed",
        }
    }
}

fn ended(kind: Kind, outcome: &'static str) -> Counter {
    counter!("notification_deliveries_total", "kind" => kind.as_str(), "outcome" => outcome)
}

/// Begins to count at zero: Prometheus sees no increase in a series that begins with its first event.
pub(super) fn count_from_zero() {
    for kind in Kind::ALL {
        for outcome in Outcome::LABELS {
            ended(kind, outcome).increment(0);
        }
    }
}

/// Sends what was claimed and marks what became of it. If the mark cannot be written it is sent once more later, under
/// the same id.
pub(super) async fn run(pool: &PgPool, senders: &Senders, claimed: Claimed) {
    let (id, attempt, kind, channel) = (claimed.id, claimed.attempts, claimed.kind, claimed.channel_id);
    let remind_at = claimed.remind_at;
    let outcome = if let Some(reason) = claimed.obsolete.clone() {
        Outcome::Cancelled(reason)
    } else {
        let sent = timeout(LIMIT, senders.send(&claimed.parcel())).await;
        let late = || Failure::again(format!("it took longer than {} s", LIMIT.as_secs()));
        judge(sent.unwrap_or_else(|_| Err(late())), attempt, rand::random())
    };
    ended(kind, outcome.label()).increment(1);
    if let (Outcome::Sent, Some(remind_at)) = (&outcome, remind_at) {
        reminders::record_lateness(kind.as_str(), remind_at);
    }
    let marked = async {
        let mut transaction = database::begin(pool, "BEGIN").await?;
        let key = (id, attempt);
        match &outcome {
            Outcome::Sent => claim::end(&mut transaction, key, State::Sent, None).await?,
            Outcome::Cancelled(why) => claim::end(&mut transaction, key, State::Cancelled, Some(why)).await?,
            Outcome::Retry { wait, patience, words } => {
                claim::retry(&mut transaction, key, *wait, *patience, words).await?;
            }
            Outcome::Failed { words, gone } => {
                claim::end(&mut transaction, key, State::Failed, Some(words)).await?;
                if *gone {
                    channels::disable(&mut transaction, channel, words).await?;
                }
            }
        }
        transaction.commit().await
    };
    if let Err(error) = answered::<_, sqlx::Error>(marked).await {
        tracing::warn!(%error, delivery_id = %id, "what became of a delivery could not be marked; it will be tried again");
    }
}

fn judge(sent: Result<(), Failure>, attempt: i32, chance: f64) -> Outcome {
    let Err(failure) = sent else { return Outcome::Sent };
    let words = failure.words;
    match failure.verdict {
        Verdict::Gone => Outcome::Failed { words, gone: true },
        Verdict::Never => Outcome::Failed { words, gone: false },
        Verdict::Again => match backoff::wait(attempt, chance, failure.patience) {
            Some(wait) => Outcome::Retry { wait, patience: failure.patience.unwrap_or_default(), words },
            None => Outcome::Failed { words, gone: false },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_is_tried_again_and_not_for_ever() {
        let again = || Err(Failure::again("it answered HTTP 503"));
        assert!(matches!(judge(again(), 1, 0.5), Outcome::Retry { .. }));
        assert!(matches!(judge(again(), 9, 0.5), Outcome::Failed { gone: false, .. }));
        assert!(matches!(judge(Err(Failure::never("no")), 1, 0.5), Outcome::Failed { gone: false, .. }));
        assert!(matches!(judge(Err(Failure::gone("no")), 1, 0.5), Outcome::Failed { gone: true, .. }));
        assert_eq!(judge(Ok(()), 3, 0.5), Outcome::Sent);
    }
}
