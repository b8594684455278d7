//! The table `tasks`.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, FromRow, PgConnection, Row as _, error::DatabaseError, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::{Priority, Status, Task, TaskError, UserId, draft::zone_of, row::Row};

impl Row {
    /// This user's task, locked until the end of the transaction. A deleted one is there, too.
    pub(super) async fn lock(connection: &mut PgConnection, user: &UserId, id: Uuid) -> Result<Self, TaskError> {
        sqlx::query_as("SELECT * FROM tasks WHERE id = $1 AND user_id = $2 FOR UPDATE")
            .bind(id)
            .bind(user)
            .fetch_optional(connection)
            .await?
            .ok_or(TaskError::NotFound)
    }

    /// Writes what can change, with another place in the series. If that is taken, it stands there beside the other one.
    pub(super) async fn update_moved(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.update_if_free(&mut *connection).await? {
            return Ok(());
        }
        self.step_aside();
        self.update(connection).await
    }

    /// Writes what can change, with another place in the series, unless that is taken. Says whether it was free.
    pub(super) async fn update_if_free(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let mut attempt = connection.begin().await?;
        match self.update(&mut attempt).await {
            Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => {
                attempt.rollback().await.map(|()| false)
            }
            Err(error) => Err(error),
            Ok(()) => attempt.commit().await.map(|()| true),
        }
    }

    /// Writes what can change.
    pub(super) async fn update(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let task = &self.task;
        sqlx::query(
            "UPDATE tasks SET title = $2, notes = $3, priority = $4, tags = $5, due_at = $6, due_date = $7, due_sort = $8,
                time_zone = $9, recurrence = $10, reminders = $11, completed_at = $12, deleted_at = $13, series_id = $14,
                occurrence_key = $15, series_start = $16, undone = $17, version = $18, updated_at = $19,
                created_at = $20
             WHERE id = $1",
        )
        .bind(task.id)
        .bind(&task.title)
        .bind(&task.notes)
        .bind(task.priority.number())
        .bind(&task.tags)
        .bind(task.due_at)
        .bind(task.due_date)
        .bind(self.due_sort())
        .bind(&task.time_zone)
        .bind(task.recurrence.as_ref().map(Json))
        .bind(Json(&task.reminders))
        .bind(task.completed_at)
        .bind(task.deleted_at)
        .bind(task.series_id)
        .bind(&self.occurrence_key)
        .bind(self.series_start.map(Json))
        .bind(self.undone)
        .bind(task.version)
        .bind(task.updated_at)
        .bind(task.created_at)
        .execute(connection)
        .await
        .map(drop)
    }
    fn due_sort(&self) -> DateTime<Utc> {
        self.task.due().map_or_else(no_due, |due| due.deadline(zone_of(&self.task)))
    }
}

/// Inserts rows, all by one statement, and gives the ids of those whose id and place in their series were free.
pub(super) async fn insert(connection: &mut PgConnection, rows: &[&Row]) -> Result<HashSet<Uuid>, sqlx::Error> {
    fn column<'a, T>(rows: &[&'a Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
        rows.iter().map(|row| of(row)).collect()
    }
    let inserted: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO tasks (id, user_id, title, notes, priority, tags, due_at, due_date, due_sort, time_zone, recurrence,
            reminders, completed_at, deleted_at, series_id, occurrence_key, series_start, spawned_by, undone, version,
            created_at, updated_at)
         SELECT id, user_id, title, notes, priority, ARRAY(SELECT jsonb_array_elements_text(tags)), due_at, due_date, due_sort,
            time_zone, recurrence, reminders, completed_at, deleted_at, series_id, occurrence_key, series_start, spawned_by,
            undone, version, created_at, updated_at
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::jsonb[], $7::timestamptz[], $8::date[],
            $9::timestamptz[], $10::text[], $11::jsonb[], $12::jsonb[], $13::timestamptz[], $14::timestamptz[], $15::uuid[],
            $16::text[], $17::jsonb[], $18::uuid[], $19::boolean[], $20::bigint[], $21::timestamptz[], $22::timestamptz[])
            AS new (id, user_id, title, notes, priority, tags, due_at, due_date, due_sort, time_zone, recurrence, reminders,
            completed_at, deleted_at, series_id, occurrence_key, series_start, spawned_by, undone, version, created_at, updated_at)
         ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(column(rows, |row| row.task.id))
    .bind(column(rows, |row| row.task.user_id.as_str()))
    .bind(column(rows, |row| row.task.title.as_str()))
    .bind(column(rows, |row| row.task.notes.as_deref()))
    .bind(column(rows, |row| row.task.priority.number()))
    // Arrays of arrays would all have to be of one length.
    .bind(column(rows, |row| Json(&row.task.tags)))
    .bind(column(rows, |row| row.task.due_at))
    .bind(column(rows, |row| row.task.due_date))
    .bind(column(rows, Row::due_sort))
    .bind(column(rows, |row| row.task.time_zone.as_str()))
    .bind(column(rows, |row| row.task.recurrence.as_ref().map(Json)))
    .bind(column(rows, |row| Json(&row.task.reminders)))
    .bind(column(rows, |row| row.task.completed_at))
    .bind(column(rows, |row| row.task.deleted_at))
    .bind(column(rows, |row| row.task.series_id))
    .bind(column(rows, |row| row.occurrence_key.as_deref()))
    .bind(column(rows, |row| row.series_start.map(Json)))
    .bind(column(rows, |row| row.spawned_by))
    .bind(column(rows, |row| row.undone))
    .bind(column(rows, |row| row.task.version))
    .bind(column(rows, |row| row.task.created_at))
    .bind(column(rows, |row| row.task.updated_at))
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// What a task without due time is sorted by: after all others, for due times end with the year 2200.
pub(super) fn no_due() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(365 * 1000)
}

/// The columns of a [`Task`].
pub(super) const SHOWN: &str = "id, user_id, title, notes, priority, tags, due_at, due_date, time_zone, recurrence, reminders, \
    completed_at, series_id, version, created_at, updated_at, deleted_at";

impl FromRow<'_, PgRow> for Task {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let completed_at: Option<DateTime<Utc>> = row.try_get("completed_at")?;
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            title: row.try_get("title")?,
            notes: row.try_get("notes")?,
            status: if completed_at.is_some() { Status::Completed } else { Status::Open },
            priority: Priority::from_number(row.try_get("priority")?),
            tags: row.try_get("tags")?,
            due_at: row.try_get("due_at")?,
            due_date: row.try_get("due_date")?,
            time_zone: row.try_get("time_zone")?,
            recurrence: row.try_get::<Option<Json<_>>, _>("recurrence")?.map(|Json(rule)| rule),
            reminders: row.try_get::<Json<_>, _>("reminders")?.0,
            completed_at,
            series_id: row.try_get("series_id")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            deleted_at: row.try_get("deleted_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            task: Task::from_row(row)?,
            occurrence_key: row.try_get("occurrence_key")?,
            series_start: row.try_get::<Option<Json<_>>, _>("series_start")?.map(|Json(start)| start),
            spawned_by: row.try_get("spawned_by")?,
            undone: row.try_get("undone")?,
        })
    }
}
