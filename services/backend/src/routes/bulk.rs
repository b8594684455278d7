//! `POST /api/tasks/bulk`: the same change for several tasks, in one transaction.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use todo_common::{
    idempotency::IdempotencyKey,
    problem::{FieldError, Json, Problem},
    tasks::{self, Task, TaskError, UserId},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::caller::{Body, Owned};
use crate::app::App;

/// Tasks of one request.
const MOST: usize = 100;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(bulk))
}

/// A change of several tasks.
#[derive(Debug, Deserialize, ToSchema)]
struct Bulk {
    /// What to do with each.
    action: Action,
    /// Which, at most 100.
    #[schema(min_items = 1, max_items = 100)]
    ids: Vec<Uuid>,
}

/// What can be done with several tasks.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Complete,
    Reopen,
    Delete,
    Restore,
}

/// What became of each task, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
struct Outcomes {
    items: Vec<Outcome>,
}

/// What became of one task.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Outcome {
    id: Uuid,
    /// As it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Task, required = false)]
    task: Option<Task>,
    /// Why this one was not changed. The others are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    error: Option<String>,
}

/// Completes, reopens, deletes or restores several tasks at once.
#[utoipa::path(
    post,
    path = "/api/tasks/bulk",
    tag = "tasks",
    params(IdempotencyKey),
    request_body = Body<Bulk>,
    responses(
        (status = 200, description = "What became of each, in the order of the request", body = Outcomes),
    )
)]
async fn bulk(State(app): State<App>, Owned(caller, bulk): Owned<Bulk>) -> Result<Response, Problem> {
    if bulk.ids.is_empty() || bulk.ids.len() > MOST {
        return Err(Problem::invalid(vec![FieldError::new("ids", format!("write 1 to {MOST} ids"))]));
    }
    let change = async |connection: &mut PgConnection| {
        // Sorted, so that two requests that meet lock rows in the same order; and each id once.
        let mut outcomes: BTreeMap<Uuid, Option<Outcome>> = bulk.ids.iter().map(|id| (*id, None)).collect();
        for (id, outcome) in &mut outcomes {
            *outcome = Some(one(connection, &caller.user, bulk.action, *id).await?);
        }
        Ok(Json(Outcomes { items: bulk.ids.iter().filter_map(|id| outcomes.get(id).cloned().flatten()).collect() }))
    };
    caller.write(&app, change).await
}

/// Changes one task. That there is none is its outcome; that the database fails ends the whole.
async fn one(connection: &mut PgConnection, user: &UserId, action: Action, id: Uuid) -> Result<Outcome, Problem> {
    let result = match action {
        Action::Complete => tasks::complete(connection, user, id, None).await,
        Action::Reopen => tasks::reopen(connection, user, id, None).await,
        Action::Delete => tasks::delete(connection, user, id, None).await,
        Action::Restore => tasks::restore(connection, user, id).await,
    };
    match result {
        Ok(task) => Ok(Outcome { id, task: Some(task), error: None }),
        Err(error @ TaskError::Database(_)) => Err(error.into()),
        Err(error) => Ok(Outcome { id, task: None, error: Some(Problem::from(error).sentence()) }),
    }
}
