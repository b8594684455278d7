//! How much is sent to addresses that may be strangers', counted in tables whose rows stay when channels are deleted.

use std::time::Duration;

use axum::http::StatusCode;
use sqlx::{AssertSqlSafe, PgConnection};
use todo_common::problem::Problem;

/// At most so many in a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The table; it has a column `sent_at`.
    pub(super) table: &'static str,
    /// What the limit is for one value of.
    pub(super) column: &'static str,
    pub(super) most: usize,
    pub(super) within: Duration,
}

impl Limit {
    /// Checks that so `many` more may be sent for `value`. Nobody else may count the same at the same time.
    ///
    /// # Errors
    /// How long to wait if there were too many.
    pub(super) async fn check(self, connection: &mut PgConnection, value: &str, many: usize) -> Result<(), Exceeded> {
        let Some(left) = self.most.checked_sub(many) else { return Err(Exceeded::Wait(self.within)) };
        let Self { table, column, .. } = self;
        // Whose end makes room for all of them.
        let decisive = format!(
            "SELECT extract(epoch FROM sent_at + $2 - now())::float8 FROM {table}
             WHERE {column} = $1 AND sent_at > now() - $2 ORDER BY sent_at DESC OFFSET $3 LIMIT 1"
        );
        let seconds: Option<f64> = sqlx::query_scalar(AssertSqlSafe(decisive))
            .bind(value)
            .bind(self.within)
            .bind(i64::try_from(left).unwrap_or(i64::MAX))
            .fetch_optional(connection)
            .await?;
        seconds.map_or(Ok(()), |seconds| Err(Exceeded::Wait(Duration::from_secs_f64(seconds.max(1.0)))))
    }
}

/// Why no more may be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Exceeded {
    /// There is room after this time.
    #[error("there were too many")]
    Wait(Duration),
    /// Nobody knows how many there were.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Exceeded {
    /// 429 of this kind.
    pub(super) fn problem(self, kind: &'static str, title: &'static str, detail: String) -> Problem {
        match self {
            Self::Wait(wait) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, kind, title).detail(detail).retry_after(wait)
            }
            Self::Database(error) => error.into(),
        }
    }
}
