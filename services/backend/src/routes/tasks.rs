//! `/api/tasks`: one task at a time. Lists and bulk changes have files of their own.

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ETAG, IF_MATCH, LOCATION},
    },
    response::{AppendHeaders, IntoResponse},
    routing::{get, post},
};
use todo_common::{
    problem::{Json, Path, Problem},
    tasks::{self, NewTask, Task, TaskPatch},
};
use uuid::Uuid;

use super::caller::{Caller, Owned};
use crate::app::App;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/api/tasks", post(create))
        .route("/api/tasks/{id}", get(read).patch(update).put(replace).delete(remove))
        .route("/api/tasks/{id}/complete", post(complete))
        .route("/api/tasks/{id}/reopen", post(reopen))
        .route("/api/tasks/{id}/restore", post(restore))
}

async fn create(State(app): State<App>, Owned(user, new): Owned<NewTask>) -> Result<impl IntoResponse, Problem> {
    let mut transaction = app.database.begin().await?;
    let task = tasks::create(&mut transaction, &user, new).await?;
    app.database.commit(transaction).await?;
    let location = [(LOCATION, format!("/api/tasks/{}", task.id))];
    Ok((StatusCode::CREATED, AppendHeaders(location), shown(task)))
}

async fn read(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Caller(user): Caller,
) -> Result<impl IntoResponse, Problem> {
    let mut connection = app.database.pool()?.acquire().await?;
    Ok(shown(tasks::get(&mut connection, &user, id).await?))
}

async fn update(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(user, patch): Owned<TaskPatch>,
) -> Result<impl IntoResponse, Problem> {
    let mut transaction = app.database.begin().await?;
    let task = tasks::update(&mut transaction, &user, id, expected_version(&headers)?, patch).await?;
    app.database.commit(transaction).await?;
    Ok(shown(task))
}

async fn replace(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(user, new): Owned<NewTask>,
) -> Result<impl IntoResponse, Problem> {
    let mut transaction = app.database.begin().await?;
    let task = tasks::update(&mut transaction, &user, id, expected_version(&headers)?, whole(new)).await?;
    app.database.commit(transaction).await?;
    Ok(shown(task))
}

async fn complete(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Caller(user): Caller,
) -> Result<impl IntoResponse, Problem> {
    let mut transaction = app.database.begin().await?;
    let task = tasks::complete(&mut transaction, &user, id, expected_version(&headers)?).await?;
    app.database.commit(transaction).await?;
    Ok(shown(task))
}

async fn reopen(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Caller(user): Caller,
) -> Result<impl IntoResponse, Problem> {
    let mut transaction = app.database.begin().await?;
    let task = tasks::reopen(&mut transaction, &user, id, expected_version(&headers)?).await?;
    app.database.commit(transaction).await?;
    Ok(shown(task))
}

async fn remove(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Caller(user): Caller,
) -> Result<StatusCode, Problem> {
    let mut transaction = app.database.begin().await?;
    tasks::delete(&mut transaction, &user, id, expected_version(&headers)?).await?;
    app.database.commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn restore(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Caller(user): Caller,
) -> Result<impl IntoResponse, Problem> {
    let mut transaction = app.database.begin().await?;
    let task = tasks::restore(&mut transaction, &user, id).await?;
    app.database.commit(transaction).await?;
    Ok(shown(task))
}

/// A task with its version as `ETag`.
fn shown(task: Task) -> impl IntoResponse {
    (AppendHeaders([(ETAG, format!("\"{}\"", task.version))]), Json(task))
}

/// The version that the caller saw. `*` and no header mean any.
pub(super) fn expected_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    version
        .parse()
        .map(Some)
        .map_err(|_| Problem::bad_request("if-match must be one ETag of this task, for example \"3\""))
}

/// A change of every field: what the body of a PUT does not have is taken away.
fn whole(new: NewTask) -> TaskPatch {
    let NewTask { title, notes, priority, tags, due_at, due_date, time_zone, recurrence, reminders } = new;
    TaskPatch {
        title: Some(title),
        notes: Some(notes),
        priority: Some(priority),
        tags: Some(tags),
        due_at: Some(due_at),
        due_date: Some(due_date),
        time_zone: Some(time_zone.unwrap_or_else(|| "UTC".to_owned())),
        recurrence: Some(recurrence),
        reminders: Some(reminders),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(if_match: &'static str) -> Result<Option<i64>, Problem> {
        expected_version(&HeaderMap::from_iter([(IF_MATCH, if_match.parse().unwrap())]))
    }

    #[test]
    fn an_etag_is_a_version_in_quotes() {
        assert_eq!(version("\"3\""), Ok(Some(3)));
        assert_eq!(version("W/\"3\""), Ok(Some(3)));
        assert_eq!(version("*"), Ok(None));
        assert_eq!(expected_version(&HeaderMap::new()), Ok(None));
        assert!(version("\"abc\"").is_err());
        assert!(version("\"1\", \"2\"").is_err());
    }
}
