//! The table `notifications`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
pub(crate) use todo_common::notifications::Notification;
use todo_common::{
    cursor::{self, Cursor},
    problem::Problem,
    tasks::{Page, UserId},
};
use uuid::Uuid;

use crate::channels::Channel;

/// Something to tell a user.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub(crate) id: Uuid,
    pub(crate) user_id: UserId,
    pub(crate) task_id: Option<Uuid>,
    pub(crate) reminder_id: Option<Uuid>,
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) method: String,
    /// When to show it; what is earlier than now is shown at once.
    pub(crate) show_at: DateTime<Utc>,
}

impl New {
    /// What shows whether a channel works.
    pub(crate) fn test(channel: &Channel) -> Self {
        Self {
            id: Uuid::now_v7(),
            user_id: channel.user_id.clone(),
            task_id: None,
            reminder_id: None,
            title: "Test".to_owned(),
            message: format!("A test of the channel {}.", channel.name),
            method: channel.kind.as_str().to_owned(),
            show_at: Utc::now(),
        }
    }

    /// Stores it. Nothing if this reminder has been stored before.
    pub(crate) async fn store(self, connection: &mut PgConnection) -> Result<Option<Notification>, sqlx::Error> {
        Ok(Self::store_all(connection, [&self].into_iter()).await?.pop())
    }

    /// Stores several, all by one statement, and gives those whose reminders had not been stored before.
    pub(crate) async fn store_all(
        connection: &mut PgConnection,
        all: impl Iterator<Item = &Self>,
    ) -> Result<Vec<Notification>, sqlx::Error> {
        let all: Vec<&Self> = all.collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        sqlx::query_as(
            "INSERT INTO notifications (id, user_id, task_id, reminder_id, title, message, method, visible_at)
             SELECT id, user_id, task_id, reminder_id, title, message, method, greatest(show_at, now())
             FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
                 AS new (id, user_id, task_id, reminder_id, title, message, method, show_at)
             ON CONFLICT (reminder_id) DO NOTHING RETURNING *",
        )
        .bind(all.iter().map(|new| new.id).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.user_id.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.task_id).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.reminder_id).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.title.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.message.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.method.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.show_at).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
    }
}

/// A page of what this user may see by now, the newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    user: &UserId,
    unread_only: bool,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<Page<Notification>, Problem> {
    let (value, id) = cursor.map(|cursor| (cursor.value, cursor.id)).unzip();
    let mut items: Vec<Notification> = sqlx::query_as(
        "SELECT * FROM notifications
         WHERE user_id = $1 AND visible_at <= now() AND (NOT $2 OR read_at IS NULL)
           AND ($3::text IS NULL OR (visible_at, id) < ($3::text::timestamptz, $4))
         ORDER BY visible_at DESC, id DESC LIMIT $5",
    )
    .bind(user)
    .bind(unread_only)
    .bind(value)
    .bind(id)
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .map_err(cursor::explain)?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = |last: &Notification| Cursor { value: last.visible_at.to_rfc3339(), id: last.id }.encode();
    let next_cursor = if has_more { items.last().map(next) } else { None };
    Ok(Page { items, next_cursor })
}

/// Marks it as read; when it was first read stays.
pub(crate) async fn mark_read(connection: &mut PgConnection, user: &UserId, id: Uuid) -> Result<Notification, Problem> {
    sqlx::query_as(
        "UPDATE notifications SET read_at = coalesce(read_at, now())
         WHERE id = $1 AND user_id = $2 AND visible_at <= now() RETURNING *",
    )
    .bind(id)
    .bind(user)
    .fetch_optional(connection)
    .await?
    .ok_or_else(unknown)
}

/// How many this user may see by now and has not read.
pub(crate) async fn count_unread(connection: &mut PgConnection, user: &UserId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM notifications WHERE user_id = $1 AND visible_at <= now() AND read_at IS NULL",
    )
    .bind(user)
    .fetch_one(connection)
    .await
}

/// Marks all as read that this user may see by now, or only this one and what the list has after it. Gives how many were not read
/// before.
pub(crate) async fn mark_all_read(
    connection: &mut PgConnection,
    user: &UserId,
    newest: Option<Uuid>,
) -> Result<u64, Problem> {
    let shown_at: Option<DateTime<Utc>> = match newest {
        Some(id) => Some(shown_at(&mut *connection, user, id).await?.ok_or_else(unknown)?),
        None => None,
    };
    // In one order, so that of two who do this neither has what the other waits for.
    let marked = sqlx::query(
        "WITH unread AS (
             SELECT id FROM notifications
             WHERE user_id = $1 AND visible_at <= now() AND read_at IS NULL
               AND ($2::timestamptz IS NULL OR (visible_at, id) <= ($2, $3))
             ORDER BY id FOR UPDATE
         )
         UPDATE notifications SET read_at = now() FROM unread WHERE notifications.id = unread.id",
    )
    .bind(user)
    .bind(shown_at)
    .bind(newest)
    .execute(connection)
    .await?;
    Ok(marked.rows_affected())
}

async fn shown_at(
    connection: &mut PgConnection,
    user: &UserId,
    id: Uuid,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("SELECT visible_at FROM notifications WHERE id = $1 AND user_id = $2 AND visible_at <= now()")
        .bind(id)
        .bind(user)
        .fetch_optional(connection)
        .await
}

fn unknown() -> Problem {
    Problem::not_found("this user has no such notification")
}
