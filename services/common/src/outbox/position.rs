//! Where a live view has got to. Whoever comes back with it hears whether something was missed meanwhile, from whichever replica:
//! the database knows what had been committed then.

use std::{fmt, str::FromStr};

use chrono::TimeDelta;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::{events::TASK_EVENTS, notifications::LATE_COMMIT, tasks::UserId};

/// Who was away for longer may have missed what is not in the outbox any more.
const LONGEST_AWAY: TimeDelta = TimeDelta::minutes(10);
/// What a view was told is remembered up to this: it travels in a header. Of more it is said that something was missed.
const MOST_KNOWN: usize = 32;
/// Longest text of one.
const LENGTH: usize = 4096;

/// What had been committed then is known to the view, and so is what it was told since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// By the database's clock, in microseconds.
    at: i64,
    /// The database's snapshot, as it writes it.
    snapshot: String,
    /// Events and notifications that the view knows although they may be later; the oldest first.
    known: Vec<Uuid>,
}

#[derive(FromRow)]
struct Found {
    at: i64,
    snapshot: String,
    known: Vec<Uuid>,
    missed: bool,
}

impl Position {
    /// The position of a view that begins now, and whether its user missed something since an earlier one.
    pub async fn now(
        connection: &mut PgConnection,
        user: &UserId,
        since: Option<&Self>,
    ) -> Result<(Self, bool), sqlx::Error> {
        // A notification may be found as late as that after its time, so those of the last moment are named.
        let found: Found = sqlx::query_as(
            "SELECT (extract(epoch FROM now()) * 1000000)::bigint AS at, pg_current_snapshot()::text AS snapshot,
                    ARRAY (SELECT id FROM notifications
                           WHERE user_id = $1 AND visible_at > now() - make_interval(secs => $5) AND visible_at <= now()
                           ORDER BY visible_at, id LIMIT $6) AS known,
                    coalesce(pg_snapshot_xmax($2::text::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()), false)
                    OR EXISTS (SELECT FROM outbox
                               WHERE xid >= pg_snapshot_xmin($2::text::pg_snapshot)
                                 AND NOT pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
                                 AND topic = $7 AND payload ->> 'user_id' = $1 AND id <> ALL ($4))
                    OR EXISTS (SELECT FROM notifications
                               WHERE user_id = $1 AND visible_at <= now() AND id <> ALL ($4)
                                 AND visible_at > to_timestamp($3::bigint / 1000000.0) - make_interval(secs => $5))
                    AS missed",
        )
        .bind(user.as_str())
        .bind(since.map(|since| since.snapshot.as_str()))
        .bind(since.map(|since| since.at))
        .bind(since.map(|since| since.known.as_slice()).unwrap_or_default())
        .bind(LATE_COMMIT.as_seconds_f64())
        .bind(i64::try_from(MOST_KNOWN).unwrap_or(i64::MAX))
        .bind(TASK_EVENTS)
        .fetch_one(connection)
        .await?;
        let is_late = since.is_some_and(|since| is_late(since.at, found.at));
        Ok((Self { at: found.at, snapshot: found.snapshot, known: found.known }, found.missed || is_late))
    }

    /// The same after the view was told of this as well.
    #[must_use]
    pub fn told(mut self, id: Uuid) -> Self {
        self.known.push(id);
        if self.known.len() > MOST_KNOWN {
            self.known.remove(0);
        }
        self
    }
}

/// Too long ago, or of another database.
fn is_late(then: i64, now: i64) -> bool {
    let away = TimeDelta::microseconds(now.saturating_sub(then));
    away > LONGEST_AWAY || away < TimeDelta::zero()
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.", self.at, self.snapshot)?;
        for (place, id) in self.known.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", id.simple())?;
        }
        Ok(())
    }
}

/// It is not the text of a position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no position of a stream")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        read(text).ok_or(NoPosition)
    }
}

fn read(text: &str) -> Option<Position> {
    let [at, snapshot, known] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
    let known: Vec<Uuid> = list(known)?;
    (text.len() <= LENGTH && known.len() <= MOST_KNOWN && is_snapshot(snapshot)).then_some(())?;
    Some(Position { at: at.parse().ok()?, snapshot: snapshot.to_owned(), known })
}

/// Whether PostgreSQL takes it for one: the oldest transaction that ran, the next one, and those between that ran, in order.
fn is_snapshot(text: &str) -> bool {
    let parts: Option<[&str; 3]> = text.split(':').collect::<Vec<_>>().try_into().ok();
    let read = |[oldest, next, running]: [&str; 3]| Some((number(oldest)?, number(next)?, numbers(running)?));
    parts.and_then(read).is_some_and(|(oldest, next, running)| {
        // Without its epoch, no transaction has the number zero.
        let is_valid = |number: u64| number & u64::from(u32::MAX) != 0;
        let is_between = |number: &u64| (oldest..next).contains(number);
        is_valid(oldest) && is_valid(next) && oldest <= next && running.is_sorted() && running.iter().all(is_between)
    })
}

/// Digits only: not all that Rust reads is read by PostgreSQL.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)?.parse().ok()
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(number).collect() }
}

fn list<T: FromStr>(text: &str) -> Option<Vec<T>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(|part| part.parse().ok()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(known: usize) -> Position {
        let known = (0..known).map(|n| Uuid::from_u128(n as u128)).collect();
        Position { at: 1_764_223_200_000_000, snapshot: "739:745:739,742".to_owned(), known }
    }

    #[test]
    fn a_position_comes_back_as_it_was() {
        for known in [0, 1, MOST_KNOWN] {
            let position = position(known);
            assert_eq!(position.to_string().parse(), Ok(position));
        }
    }

    #[test]
    fn what_is_told_last_is_known_longest() {
        let told = position(MOST_KNOWN).told(Uuid::max());
        assert_eq!((told.known.len(), told.known.last()), (MOST_KNOWN, Some(&Uuid::max())));
        assert_eq!(told.to_string().parse(), Ok(told));
    }

    #[test]
    fn a_made_up_position_is_refused() {
        for text in [
            "",
            "0190b2f4-5c3e-7d1a-9a4b-1f2e3d4c5b6a",
            "1.2.3",
            "1.5:3:.",
            "1.0:3:.",
            "1.3:5:6.",
            "1.3:5:4,3.",
            "1.3:+5:.",
            "1.3:5:4,.",
            "1.3:4294967296:.",
            "x.3:5:.",
            "1.3:5:.7",
            "1.3:99999999999999999999:.",
        ] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text}");
        }
        assert!("1.3:5:3,4.".parse::<Position>().is_ok());
        assert!(format!("1.3:5:{}.", "3,".repeat(4096) + "3").parse::<Position>().is_err());
    }

    #[test]
    fn who_was_away_for_long_may_have_missed_something() {
        let minutes = |minutes: i64| minutes * 60_000_000;
        assert!(!is_late(minutes(50), minutes(59)));
        assert!(is_late(minutes(50), minutes(61)));
        assert!(is_late(minutes(50), minutes(49)), "the clock of another database");
    }
}
