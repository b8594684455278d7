//! `POST /api/tasks/import`: many tasks at once, all of them or none.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use todo_common::{
    idempotency::IdempotencyKey,
    problem::{FieldError, Json, Problem, Query, from_value},
    tasks::{self, Importable, ImportedTask, TaskError},
};
use tokio::task::yield_now;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{MOST, table};
use crate::{app::App, routes::caller::Uploaded};

/// Mistakes that are told; what comes after them is not looked at.
const MOST_ERRORS: usize = 100;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(import))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// With `true` everything is checked and nothing is done.
    #[serde(default)]
    dry_run: bool,
}

/// Tasks to be imported, as an export has them.
#[derive(Deserialize, ToSchema)]
#[schema(as = Import)]
struct Document {
    /// At most 1000.
    #[schema(max_items = 1000, value_type = Vec<ImportedTask>)]
    items: Vec<Value>,
}

/// What was imported.
#[derive(Serialize, ToSchema)]
struct Imported {
    /// Number of tasks.
    count: usize,
    /// Their new ids, in the order of the request; empty for a dry run.
    ids: Vec<Uuid>,
    /// Whether nothing was done.
    dry_run: bool,
}

/// Creates many tasks: all of them, or none if one is wrong.
///
/// Takes an export, or a part of one that is too large (`limit`), and tables of other programs that have a column `title`. New ids are given; reminders whose time has passed are not told.
#[utoipa::path(
    post,
    path = "/api/tasks/import",
    tag = "tasks",
    params(ImportQuery, IdempotencyKey),
    request_body(content((Document = "application/json"), (String = "text/csv"))),
    responses(
        (status = 200, description = "All could be imported (dry run)", body = Imported),
        (status = 201, description = "All were imported", body = Imported),
    )
)]
async fn import(
    State(app): State<App>,
    Query(query): Query<ImportQuery>,
    Uploaded { caller, content_type, body }: Uploaded,
) -> Result<Response, Problem> {
    let new = check(read(&content_type, &body)?.into_iter()).await?;
    if query.dry_run {
        return Ok(Json(Imported { count: new.len(), ids: Vec::new(), dry_run: true }).into_response());
    }
    let create = async |connection: &mut PgConnection| {
        let created = tasks::import(connection, &caller.user, new).await?;
        let ids: Vec<Uuid> = created.iter().map(|task| task.id).collect();
        Ok((StatusCode::CREATED, Json(Imported { count: ids.len(), ids, dry_run: false })))
    };
    caller.write(&app, create).await
}

/// Where a task stands in the request, and the task or what cannot be read of it.
type Row = (String, Result<ImportedTask, FieldError>);

fn read(content_type: &str, body: &[u8]) -> Result<Vec<Row>, Problem> {
    match content_type {
        "application/json" => {
            let document: Document = serde_json::from_slice(body).map_err(|error| {
                if error.is_data() {
                    Problem::invalid(vec![FieldError::new("items", "must be a list of tasks, in an object")])
                } else {
                    Problem::bad_request(format!("the body is no JSON: {error}"))
                }
            })?;
            let read = |(index, item): (usize, Value)| {
                let place = format!("items[{index}]");
                (place, from_value(item).and_then(ImportedTask::read))
            };
            Ok(document.items.into_iter().enumerate().map(read).collect())
        }
        "text/csv" => {
            Ok(table::read(body)?.into_iter().map(|(number, task)| (format!("row {number}"), task)).collect())
        }
        _ => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The body must be JSON or CSV")
            .detail("send the header `content-type: application/json` or `text/csv`")),
    }
}

async fn check(rows: impl ExactSizeIterator<Item = Row>) -> Result<Vec<Importable>, Problem> {
    if rows.len() > MOST {
        return Err(Problem::invalid(vec![FieldError::new(
            "items",
            format!("at most {MOST} tasks; an export with `limit` comes in parts that are taken"),
        )]));
    }
    let mut tasks = Vec::with_capacity(rows.len());
    let mut errors = Vec::new();
    for (place, row) in rows {
        if errors.len() >= MOST_ERRORS {
            errors.truncate(MOST_ERRORS);
            errors.push(FieldError::new("items", format!("from {place} on they were not looked at")));
            break;
        }
        // Rules may take a while, and others are to have their turn.
        yield_now().await;
        let wrong = match row.map(ImportedTask::check) {
            Ok(Ok(task)) => {
                tasks.push(task);
                continue;
            }
            Ok(Err(TaskError::Invalid(wrong))) => wrong,
            Ok(Err(other)) => return Err(other.into()),
            Err(wrong) => vec![wrong],
        };
        errors.extend(wrong.into_iter().map(|error| error.within(&place)));
    }
    if errors.is_empty() { Ok(tasks) } else { Err(Problem::invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use todo_common::tasks::NewTask;

    use super::*;

    fn rows(count: usize, title: &str) -> impl ExactSizeIterator<Item = Row> {
        let task = ImportedTask { task: NewTask::titled(title), ..ImportedTask::default() };
        (0..count).map(move |number| (format!("items[{number}]"), Ok(task.clone())))
    }

    #[tokio::test]
    async fn no_task_is_looked_at_after_a_hundred_mistakes() {
        let looked_at = Cell::new(0);
        let problem = check(rows(1000, "").inspect(|_| looked_at.set(looked_at.get() + 1))).await.unwrap_err();
        assert_eq!(looked_at.get(), 101);
        assert!(problem.sentence().ends_with("items: from items[100] on they were not looked at"));
    }

    #[tokio::test]
    async fn others_have_their_turn_between_two_tasks() {
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        let others = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        check(rows(1000, "a")).await.unwrap();
        others.abort();
        assert!(turns.load(Ordering::Relaxed) >= 900);
    }
}
