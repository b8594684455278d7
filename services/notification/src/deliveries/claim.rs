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
/// Longest time that the others of a channel wait for one that is to be tried again, unless its target has asked for more: it may
/// be refused for what is in it.
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

/// Begins the transaction of a claim. While little waits, which is nearly always, the statistics say that nothing does, and with
/// a backlog most plans read all of it. These leave the ones that read in the order of an index and look up the rest.
pub(super) const BEGIN: &str =
    "BEGIN; SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_seqscan = off";

/// Deliveries that are due, the oldest ones, that are looked at one by one. Where more are, it may be behind these, of few
/// channels, that those of all others wait.
const LOOKED_AT: i64 = 64;

/// Whether more are due than are looked at one by one.
const HAS_MORE: &str = "
    SELECT EXISTS (SELECT FROM deliveries WHERE state = 'waiting' AND next_attempt_at <= now()
                   ORDER BY next_attempt_at OFFSET $1)";

/// Of each channel the one that waits first, if it is among the oldest and nobody has it.
const OLDEST: &str = "
    WITH oldest AS MATERIALIZED (
        SELECT id, channel_id, next_attempt_at FROM deliveries WHERE state = 'waiting' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT $2)
    SELECT d.id FROM oldest JOIN deliveries AS d ON d.id = oldest.id
    WHERE d.state = 'waiting' AND (d.claimed_until IS NULL OR d.claimed_until <= now())
      AND NOT EXISTS (
          SELECT FROM deliveries AS earlier WHERE earlier.channel_id = oldest.channel_id AND earlier.state = 'waiting'
            AND (earlier.next_attempt_at, earlier.id) < (oldest.next_attempt_at, oldest.id))
    LIMIT $1 FOR UPDATE OF d SKIP LOCKED";

/// Goes from channel to channel, whatever waits behind the first of each. They are not sorted by how old these are: then all of
/// them would have to be looked at.
const HEADS: &str = "
    WITH RECURSIVE heads AS (
        (SELECT channel_id, next_attempt_at, id FROM deliveries WHERE state = 'waiting'
         ORDER BY channel_id, next_attempt_at, id LIMIT 1)
        UNION ALL
        SELECT next.* FROM heads CROSS JOIN LATERAL
            (SELECT channel_id, next_attempt_at, id FROM deliveries WHERE state = 'waiting' AND channel_id > heads.channel_id
             ORDER BY channel_id, next_attempt_at, id LIMIT 1) AS next)
    SELECT claimed.id FROM heads CROSS JOIN LATERAL
        (SELECT id FROM deliveries WHERE id = heads.id AND state = 'waiting' AND next_attempt_at <= now()
           AND (claimed_until IS NULL OR claimed_until <= now()) FOR UPDATE SKIP LOCKED) AS claimed
    WHERE heads.next_attempt_at <= now() AND heads.id <> ALL ($2) LIMIT $1";

/// Whether the task still wants to be reminded of is looked at now, not when it was planned.
const TAKE: &str = "
    WITH claimed AS (
        UPDATE deliveries SET attempts = attempts + 1, claimed_until = now() + $2 WHERE id = ANY ($1) RETURNING *
    )
    SELECT claimed.id, claimed.channel_id, claimed.attempts, claimed.user_id, claimed.notification_id,
        c.kind, c.target, c.secret, n.task_id, n.title, n.message, coalesce(n.created_at, claimed.created_at) AS created_at,
        CASE WHEN NOT c.enabled THEN 'the channel was switched off'
             WHEN n.reminder_id IS NOT NULL AND NOT EXISTS (
                 SELECT FROM task_reminders r JOIN tasks t ON t.id = r.task_id
                 WHERE r.id = n.reminder_id AND t.deleted_at IS NULL AND t.completed_at IS NULL)
             THEN 'the task was completed, deleted or moved' END AS obsolete,
        (SELECT remind_at FROM task_reminders r WHERE r.id = n.reminder_id) AS remind_at
    FROM claimed JOIN channels c ON c.id = claimed.channel_id LEFT JOIN notifications n ON n.id = claimed.notification_id";

/// Claims up to `most` deliveries whose time has come: of each channel one at a time, the oldest first, so that a target
/// that hangs holds up nobody else. In a transaction that has begun by [`BEGIN`].
pub(super) async fn claim(connection: &mut PgConnection, most: i64) -> Result<Vec<Claimed>, sqlx::Error> {
    let mut ids: Vec<Uuid> = sqlx::query_scalar(OLDEST).bind(most).bind(LOOKED_AT).fetch_all(&mut *connection).await?;
    let left = most - i64::try_from(ids.len()).unwrap_or(most);
    if left > 0 && sqlx::query_scalar(HAS_MORE).bind(LOOKED_AT).fetch_one(&mut *connection).await? {
        let others: Vec<Uuid> = sqlx::query_scalar(HEADS).bind(left).bind(&ids).fetch_all(&mut *connection).await?;
        ids.extend(others);
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(TAKE).bind(ids).bind(CLAIM).fetch_all(connection).await
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
/// receiver that hangs would be tried with the next one at once, before what is due to others since then, and one that has asked
/// for `patience` would have it from one of them only.
pub(super) async fn retry(
    connection: &mut PgConnection,
    (id, attempt): (Uuid, i32),
    wait: Duration,
    patience: Duration,
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
    .bind(wait.min(LONGEST_PAUSE.max(patience)))
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sqlx::Executor;
    use todo_common::testing::with_database;

    use super::*;

    /// Pages that a statement of a claim reads.
    async fn cost(connection: &mut PgConnection, statement: &str, parameters: [&str; 2]) -> i64 {
        let statement = statement.replace("$1", parameters[0]).replace("$2", parameters[1]);
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}");
        let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_one(connection).await.unwrap();
        let plan = &plan[0]["Plan"];
        plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap()
    }

    #[tokio::test]
    async fn what_was_sent_and_what_waits_behind_others_is_not_read() {
        with_database(|pool| async move {
            let mut claim = pool.begin_with(BEGIN).await.unwrap();
            for statement in [
                "ALTER TABLE deliveries SET (autovacuum_enabled = false)",
                "INSERT INTO channels (id, user_id, kind, name, target, confirmed)
                 SELECT gen_random_uuid(), 'ada', 'ntfy', n::text, n::text, true FROM generate_series(1, 3) AS n",
                "INSERT INTO deliveries (id, user_id, channel_id, state, next_attempt_at)
                 SELECT gen_random_uuid(), 'ada', (SELECT id FROM channels WHERE name = '1'), 'sent', now() - n * interval '1 s'
                 FROM generate_series(1, 20000) AS n",
                "ANALYZE deliveries",
                "INSERT INTO deliveries (id, user_id, channel_id, next_attempt_at)
                 SELECT gen_random_uuid(), 'ada', (SELECT id FROM channels WHERE name = '1'), now() - interval '1 hour'
                 FROM generate_series(1, 2000) AS n",
                "INSERT INTO deliveries (id, user_id, channel_id, next_attempt_at)
                 SELECT gen_random_uuid(), 'ada', id, now() FROM channels WHERE name <> '1'",
            ] {
                claim.execute(statement).await.unwrap();
            }
            for statistics in ["SELECT 'old'", "ANALYZE deliveries"] {
                claim.execute(statistics).await.unwrap();
                let pages = cost(&mut claim, OLDEST, ["32", "64"]).await
                    + cost(&mut claim, HAS_MORE, ["64", ""]).await
                    + cost(&mut claim, HEADS, ["32", "'{}'"]).await;
                assert!(pages < 700, "{statistics}: {pages} pages");
            }
            let claimed = super::claim(&mut claim, 32).await.unwrap();
            assert_eq!(claimed.len(), 3, "one of each channel");
            assert!(super::claim(&mut claim, 32).await.unwrap().is_empty());
        })
        .await;
    }
}
