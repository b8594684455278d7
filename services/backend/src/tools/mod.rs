//! The tools: one registry for MCP and chat, so that both do the same and are refused the same.

mod arguments;
mod definition;

use axum::body::to_bytes;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use todo_common::{
    idempotency::{self, Once},
    problem::{Json, Problem},
    tasks::{self, Sort, TaskError, TaskFilter, UserId},
};

use crate::app::App;
use arguments::Arguments;
pub(crate) use definition::Tool;

/// Tasks that `list_tasks` shows at most.
const MOST_TASKS: u32 = 100;

/// Why a tool did not work.
#[derive(Debug)]
pub(crate) enum Error {
    /// The caller can put it right; says how.
    Refused(String),
    /// The system failed.
    Failed(Problem),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        if problem.status().is_server_error() { Self::Failed(problem) } else { Self::Refused(problem.sentence()) }
    }
}

impl From<TaskError> for Error {
    fn from(error: TaskError) -> Self {
        Problem::from(error).into()
    }
}

/// Calls a tool for `user`; one that changes something does it once, where that is asked for. The result is what the tool's output
/// schema says.
pub(crate) async fn call(
    app: &App,
    user: &UserId,
    once: Option<&Once>,
    tool: Tool,
    arguments: Map<String, Value>,
) -> Result<Value, Error> {
    if tool.hints().read_only {
        let mut transaction = app.database.begin().await?;
        return run(&mut transaction, user, tool, arguments).await;
    }
    let work = async |connection: &mut PgConnection| match run(connection, user, tool, arguments).await {
        Ok(result) => Ok(Json(result)),
        Err(Error::Refused(words)) => Err(Problem::bad_request(words)),
        Err(Error::Failed(problem)) => Err(problem),
    };
    let answer = idempotency::write(&app.database, user, once, work).await?;
    // Our own answer, in memory already.
    let body = to_bytes(answer.into_body(), usize::MAX).await.map_err(|_| Problem::internal())?;
    Ok(serde_json::from_slice(&body).map_err(|_| Problem::internal())?)
}

/// The same in a transaction of the caller, which is to be committed if it changes something.
pub(crate) async fn run(
    connection: &mut PgConnection,
    user: &UserId,
    tool: Tool,
    arguments: Map<String, Value>,
) -> Result<Value, Error> {
    let arguments = Arguments::new(arguments);
    let (status, task) = match tool {
        Tool::ListTasks => return list(connection, user, arguments.filter()?).await,
        Tool::CreateTask => ("created", tasks::create(connection, user, arguments.new_task()?).await?),
        Tool::CompleteTask => ("completed", tasks::complete(connection, user, arguments.task_id()?, None).await?),
        Tool::DeleteTask => ("deleted", tasks::delete(connection, user, arguments.task_id()?, None).await?),
        Tool::UpdateTask => {
            let id = arguments.task_id()?;
            ("updated", tasks::update(connection, user, id, None, arguments.patch()?).await?)
        }
    };
    Ok(json!({"task_id": task.id, "status": status, "title": task.title}))
}

async fn list(connection: &mut PgConnection, user: &UserId, filter: TaskFilter) -> Result<Value, Error> {
    let filter = TaskFilter { sort: Sort::CreatedAt, limit: Some(MOST_TASKS), ..filter };
    let page = tasks::list(connection, user, &filter).await?;
    Ok(json!({"tasks": page.items, "count": page.items.len(), "more": page.next_cursor.is_some()}))
}
