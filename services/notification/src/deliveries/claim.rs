//! Taking what is due, so that no two replicas send it, and marking what became of it.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;
use uuid::Uuid;

use super::State;
use crate::{
    channels::Kind,
    senders::{Content, Parcel},
};

/// Longer than any attempt may take. Who is gone without a word loses its claim after this.
const CLAIM: Duration = Duration::from_mins(1);
/// Longest time that the others of a channel wait for one that is to be tried again: it may be refused for what is in it.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A delivery that this process may send.
#[derive(Debug, FromRow)]
pub(super) struct Claimed {
    pub(super) id: Uuid,
    pub(super) channel_id: Uuid,
    /// This attempt's number; also what tells this claim from a later one.
    pub(super) attempts: i32,
    pub(super) kind: Kind,
    /// Why there is nothing to send any more.
    pub(super) obsolete: Option<String>,
    /// When it was to come, if it is a reminder.
    pub(super) remind_at: Option<DateTime<Utc>>,
    target: String,
    secret: Option<String>,
    user_id: String,
    notification_id: Option<Uuid>,
    task_id: Option<Uuid>,
    title: Option<String>,
    message: Option<String>,
    created_at: DateTime<Utc>,
}

impl Claimed {
    /// What is to be sent. Without a notification it is the code that confirms an address.
    pub(super) fn parcel(self) -> Parcel {
        let code = self.secret.clone().unwrap_or_default();
        Parcel {
            delivery_id: self.id,
            kind: self.kind,
            target: self.target,
            secret: self.secret,
            content: Content {
                id: self.notification_id.unwrap_or(self.id),
                user_id: self.user_id,
                task_id: self.task_id,
                title: self.title.unwrap_or_else(|| "Confirm your address".to_owned()),
                message: self.message.unwrap_or_else(|| {
                    format!(
                        "Somebody wants reminders of a todo list sent to this address. If it is you, the code is {code}. \
                         If not, do nothing: no other mail will come."
                    )
                }),
                created_at: self.created_at,
            },
        }
    }
}

/// Claims up to `most` deliveries whose time has come: of each channel one at a time, the oldest first, so that a target
/// that hangs holds up nobody else. Whether the task still wants to be reminded of is looked at now, not when it was planned.
pub(super) async fn claim(connection: &mut PgConnection, most: i64) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as(
        "WITH due AS (
             SELECT id FROM deliveries d
             WHERE state = 'waiting' AND next_attempt_at <= now() AND (claimed_until IS NULL OR claimed_until <= now())
               AND NOT EXISTS (
                   SELECT FROM deliveries earlier
                   WHERE earlier.channel_id = d.channel_id AND earlier.state = 'waiting' AND earlier.next_attempt_at <= now()
                     AND (earlier.next_attempt_at, earlier.id) < (d.next_attempt_at, d.id))
             ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
         ), claimed AS (
             UPDATE deliveries d SET attempts = attempts + 1, claimed_until = now() + $2
             FROM due WHERE d.id = due.id RETURNING d.*
         )
         SELECT claimed.id, claimed.channel_id, claimed.attempts, claimed.user_id, claimed.notification_id,
             c.kind, c.target, c.secret, n.task_id, n.title, n.message, coalesce(n.created_at, claimed.created_at) AS created_at,
             CASE WHEN NOT c.enabled THEN 'the channel was switched off'
                  WHEN n.reminder_id IS NOT NULL AND NOT EXISTS (
                      SELECT FROM task_reminders r JOIN tasks t ON t.id = r.task_id
                      WHERE r.id = n.reminder_id AND t.deleted_at IS NULL AND t.completed_at IS NULL)
                  THEN 'the task was completed, deleted or moved' END AS obsolete,
             (SELECT remind_at FROM task_reminders r WHERE r.id = n.reminder_id) AS remind_at
         FROM claimed JOIN channels c ON c.id = claimed.channel_id LEFT JOIN notifications n ON n.id = claimed.notification_id",
    )
    .bind(most)
    .bind(CLAIM)
    .fetch_all(connection)
    .await
}

/// Ends a delivery. Nothing if another process has taken it over meanwhile.
pub(super) async fn end(
    connection: &mut PgConnection,
    (id, attempt): (Uuid, i32),
    state: State,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE deliveries SET state = $3, last_error = $4, claimed_until = NULL,
             sent_at = CASE WHEN $3 = 'sent' THEN now() END
         WHERE id = $1 AND attempts = $2 AND state = 'waiting'",
    )
    .bind(id)
    .bind(attempt)
    .bind(state)
    .bind(error)
    .execute(connection)
    .await
    .map(drop)
}

/// Puts it back for a later attempt. What waits behind it in its channel is put behind it there, too, in the same order: else a
/// receiver that hangs would be tried with the next one at once, before what is due to others since then.
pub(super) async fn retry(
    connection: &mut PgConnection,
    (id, attempt): (Uuid, i32),
    wait: Duration,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH retried AS (
             UPDATE deliveries SET next_attempt_at = now() + $3, last_error = $4, claimed_until = NULL
             WHERE id = $1 AND attempts = $2 AND state = 'waiting' RETURNING id, channel_id
         ), behind AS (
             SELECT d.id, row_number() OVER (ORDER BY d.next_attempt_at, d.id) AS place
             FROM deliveries d JOIN retried ON retried.channel_id = d.channel_id AND retried.id <> d.id
             WHERE d.state = 'waiting' AND d.next_attempt_at <= now() + $5
         )
         UPDATE deliveries d SET next_attempt_at = now() + $5 + place * interval '1 microsecond'
         FROM behind WHERE d.id = behind.id",
    )
    .bind(id)
    .bind(attempt)
    .bind(wait)
    .bind(error)
    .bind(wait.min(LONGEST_PAUSE))
    .execute(connection)
    .await
    .map(drop)
}
