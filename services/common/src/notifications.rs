//! What users are told on the page, and which of it has just become visible.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::tasks::UserId;

/// Notifications of one read; the next one follows at once.
const BATCH: usize = 1000;
/// How far a read goes back. What is to be seen at once has the time at which its transaction began, and can be found when that has
/// ended; a transaction takes less than its statements may.
pub(crate) const LATE_COMMIT: TimeDelta = TimeDelta::seconds(15);

/// Something that a user is told, as the API shows it. The field names are relied on by users.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow, ToSchema)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// The task that it is about, if it is about one.
    pub task_id: Option<Uuid>,
    /// Headline.
    pub title: String,
    /// One line.
    pub message: String,
    /// How it was meant to be shown; users choose their channels themselves.
    pub method: String,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// When it was first read.
    pub read_at: Option<DateTime<Utc>>,
    /// Not before this; lists show it from then on.
    #[serde(skip)]
    pub visible_at: DateTime<Utc>,
}

/// Finds each notification once, when its user may see it.
#[derive(Default)]
pub(crate) struct Shown {
    /// Everything before this was looked at, by the database's clock; absent before the first look.
    looked_until: Option<DateTime<Utc>>,
    /// What was found of the time that the next read looks at again.
    told: HashMap<Uuid, DateTime<Utc>>,
    /// Whether the last read may have left something.
    pub(crate) is_behind: bool,
}

impl Shown {
    /// What has become visible since the last call, up to [`BATCH`]; nothing at the first.
    pub(crate) async fn read(&mut self, pool: &PgPool) -> Result<Vec<Notification>, sqlx::Error> {
        let is_first = self.looked_until.is_none();
        let until = match self.looked_until {
            Some(until) => until,
            None => sqlx::query_scalar("SELECT now()").fetch_one(pool).await?,
        };
        let told: Vec<Uuid> = self.told.keys().copied().collect();
        let mut shown: Vec<Notification> = sqlx::query_as(
            "SELECT * FROM notifications WHERE visible_at BETWEEN $1 AND now() AND id <> ALL ($2)
             ORDER BY visible_at, id LIMIT $3",
        )
        .bind(until - LATE_COMMIT)
        .bind(told)
        .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
        self.is_behind = shown.len() == BATCH;
        let until = shown.last().map_or(until, |last| last.visible_at.max(until));
        self.looked_until = Some(until);
        self.told.extend(shown.iter().map(|notification| (notification.id, notification.visible_at)));
        // What is older is not found again.
        self.told.retain(|_, visible_at| *visible_at >= until - LATE_COMMIT);
        if is_first {
            shown.clear();
        }
        Ok(shown)
    }
}
