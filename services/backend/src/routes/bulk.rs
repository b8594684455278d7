//! `POST /api/tasks/bulk`: the same change for several tasks, in one transaction.

use std::collections::BTreeMap;

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use todo_common::{
    problem::{FieldError, Json, Problem},
    tasks::{self, Task, TaskError, UserId},
};
use uuid::Uuid;

use super::caller::Owned;
use crate::app::App;

/// Tasks of one request.
const MOST: usize = 100;

pub(super) fn router() -> Router<App> {
    Router::new().route("/api/tasks/bulk", post(bulk))
}

#[derive(Debug, Deserialize)]
struct Bulk {
    action: Action,
    ids: Vec<Uuid>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Complete,
    Reopen,
    Delete,
    Restore,
}

/// What became of each task, in the order of the request.
#[derive(Debug, Serialize)]
struct Outcomes {
    items: Vec<Outcome>,
}

#[derive(Debug, Clone, Serialize)]
struct Outcome {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
    /// Why this one was not changed. The others are.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

async fn bulk(State(app): State<App>, Owned(user, bulk): Owned<Bulk>) -> Result<Json<Outcomes>, Problem> {
    if bulk.ids.is_empty() || bulk.ids.len() > MOST {
        return Err(Problem::invalid(vec![FieldError::new("ids", format!("write 1 to {MOST} ids"))]));
    }
    let mut transaction = app.database.begin().await?;
    // Sorted, so that two requests that meet lock rows in the same order; and each id once.
    let mut outcomes: BTreeMap<Uuid, Option<Outcome>> = bulk.ids.iter().map(|id| (*id, None)).collect();
    for (id, outcome) in &mut outcomes {
        *outcome = Some(one(&mut transaction, &user, bulk.action, *id).await?);
    }
    app.database.commit(transaction).await?;
    Ok(Json(Outcomes { items: bulk.ids.iter().filter_map(|id| outcomes.get(id).cloned().flatten()).collect() }))
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
