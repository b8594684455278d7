//! `GET /api/tasks/export`: all tasks of a user, page by page, so that neither memory nor a connection is held for a slow reader.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use todo_common::{
    auth,
    problem::{Problem, Query},
    tasks::{self, Page, Sort, StatusFilter, Task, TaskFilter, UserId},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::table;
use crate::app::App;

/// Tasks that are read at once.
const AT_ONCE: u32 = 200;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    #[param(ignore)]
    user_id: Option<String>,
    /// `json` if absent.
    #[serde(default)]
    #[param(inline, required = false)]
    format: Format,
}

/// In which form.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
}

/// All tasks of a user.
#[derive(ToSchema)]
#[schema(as = Export)]
#[expect(dead_code, reason = "it describes what is written part by part")]
struct Export {
    /// The oldest first.
    items: Vec<Task>,
}

/// All tasks, open and completed, the oldest first.
///
/// As JSON or CSV; `import` reads both.
#[utoipa::path(
    get,
    path = "/api/tasks/export",
    tag = "tasks",
    params(ExportQuery),
    responses((status = 200, description = "The tasks", content((Export = "application/json"), (String = "text/csv"))))
)]
async fn export(
    State(app): State<App>,
    Query(query): Query<ExportQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    // Before the answer begins: an error here is still a status.
    let first = page(&app, &user, None).await?;
    let parts = stream::try_unfold(Some(first), move |page_read| {
        let (app, user) = (app.clone(), user.clone());
        async move {
            let Some(Page { items, next_cursor }) = page_read else { return Ok(None) };
            let next = match next_cursor {
                Some(cursor) => Some(page(&app, &user, Some(cursor)).await?),
                None => None,
            };
            Ok::<_, Problem>(Some((items, next)))
        }
    })
    // The answer has begun: it ends early, so that nobody takes it for whole.
    .map_err(|problem| std::io::Error::other(problem.sentence()));
    let (content_type, name, body) = match query.format {
        Format::Json => ("application/json", "tasks.json", Body::from_stream(json(parts))),
        Format::Csv => {
            let lines = parts.map_ok(|tasks| Bytes::from(table::write(&tasks)));
            let head = stream::once(async { Ok(Bytes::from(table::header())) });
            ("text/csv; charset=utf-8", "tasks.csv", Body::from_stream(head.chain(lines)))
        }
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(([(CONTENT_TYPE, content_type), (CONTENT_DISPOSITION, disposition.as_str())], body).into_response())
}

async fn page(app: &App, user: &UserId, cursor: Option<String>) -> Result<Page<Task>, Problem> {
    let filter = TaskFilter {
        status: StatusFilter::All,
        sort: Sort::CreatedAt,
        limit: Some(AT_ONCE),
        cursor,
        ..TaskFilter::default()
    };
    let mut connection = app.database.pool()?.acquire().await?;
    let mut page = tasks::list(&mut connection, user, &filter).await?;
    tasks::count_from_here(&mut connection, &mut page.items).await?;
    Ok(page)
}

/// `{"items":[…]}`, in parts.
fn json(
    pages: impl stream::Stream<Item = std::io::Result<Vec<Task>>>,
) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    let mut is_first = true;
    let tasks = pages.map(move |tasks| {
        let mut text = String::new();
        for task in tasks? {
            text.push_str(if std::mem::take(&mut is_first) { "" } else { "," });
            text.push_str(&serde_json::to_string(&task)?);
        }
        Ok(Bytes::from(text))
    });
    let fixed = |text: &'static str| stream::once(async move { Ok(Bytes::from_static(text.as_bytes())) });
    fixed("{\"items\":[").chain(tasks).chain(fixed("]}"))
}
