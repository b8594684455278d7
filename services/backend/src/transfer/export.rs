//! `GET /api/tasks/export`: all tasks of a user, page by page, so that neither memory nor a connection is held for a slow reader; or in
//! parts that an import takes.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, HeaderName,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{AppendHeaders, IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use todo_common::{
    auth,
    problem::{Problem, Query},
    server::BODY_LIMIT,
    tasks::{self, Page, Sort, StatusFilter, Task, TaskFilter, UserId},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{MOST, format::Format};
use crate::app::App;

/// Tasks that are read at once.
const AT_ONCE: usize = 200;
/// Where the next part begins, which has no place in a table.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");
/// Longest end of a part, with its cursor.
const TAIL: usize = 256;

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
    /// With it a part that an import takes: at most so many tasks, 1000 at most, and no more than 1 MiB.
    #[param(format = Int64, maximum = 4_294_967_295u64)]
    limit: Option<u32>,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// All tasks of a user, or a part of them.
#[derive(ToSchema)]
#[schema(as = Export)]
#[expect(dead_code, reason = "it describes what is written part by part")]
struct Export {
    /// The oldest first.
    items: Vec<Task>,
    /// Where the next part begins; nothing at the end.
    next_cursor: Option<String>,
}

/// All tasks, open and completed, the oldest first.
///
/// As JSON or CSV; `import` reads both. More than one import takes is asked for in parts, with `limit` and `cursor`.
#[utoipa::path(
    get,
    path = "/api/tasks/export",
    tag = "tasks",
    params(ExportQuery),
    responses(
        (status = 200, description = "The tasks", content((Export = "application/json"), (String = "text/csv")), headers(
            ("next-cursor" = String, description = "Where the next part begins; absent at the end"),
        )),
    )
)]
async fn export(
    State(app): State<App>,
    Query(ExportQuery { user_id, format, limit, cursor }): Query<ExportQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = auth::user(None, user_id.as_deref(), &headers)?;
    let disposition = format!("attachment; filename=\"{}\"", format.file_name());
    let about = [(CONTENT_TYPE, format.content_type().to_owned()), (CONTENT_DISPOSITION, disposition)];
    if limit.is_none() && cursor.is_none() {
        return Ok((about, whole(&app, &user, format).await?).into_response());
    }
    let limit = limit.map_or(MOST, |limit| usize::try_from(limit).unwrap_or(MOST).clamp(1, MOST));
    let (body, next_cursor) = part(&app, &user, format, limit, cursor).await?;
    let next_cursor = AppendHeaders(next_cursor.map(|cursor| (NEXT_CURSOR, cursor)));
    Ok((about, next_cursor, body).into_response())
}

async fn whole(app: &App, user: &UserId, format: Format) -> Result<Body, Problem> {
    // Before the answer begins: an error here is still a status.
    let first = page(app, user, AT_ONCE, None).await?;
    let (app, user) = (app.clone(), user.clone());
    let pages = stream::try_unfold(Some(first), move |page_read| {
        let (app, user) = (app.clone(), user.clone());
        async move {
            let Some(Page { items, next_cursor }) = page_read else { return Ok(None) };
            let next = match next_cursor {
                Some(cursor) => Some(page(&app, &user, AT_ONCE, Some(cursor)).await?),
                None => None,
            };
            Ok::<_, Problem>(Some((items, next)))
        }
    })
    // The answer has begun: it ends early, so that nobody takes it for whole.
    .map_err(|problem| std::io::Error::other(problem.sentence()));
    let mut is_first = true;
    let tasks = pages.map(move |tasks| {
        let mut text = Vec::new();
        for task in &tasks? {
            text.extend(format.task(task, std::mem::take(&mut is_first))?);
        }
        Ok::<_, std::io::Error>(Bytes::from(text))
    });
    let fixed = |text: Vec<u8>| stream::once(async move { Ok(Bytes::from(text)) });
    Ok(Body::from_stream(fixed(format.head()).chain(tasks).chain(fixed(format.tail(None)))))
}

/// At most so many tasks, and no more bytes than an import takes; and where the next part begins. A task alone is far smaller.
async fn part(
    app: &App,
    user: &UserId,
    format: Format,
    limit: usize,
    mut cursor: Option<String>,
) -> Result<(Vec<u8>, Option<String>), Problem> {
    let (mut body, mut count) = (format.head(), 0);
    'pages: while count < limit {
        let Page { items, next_cursor } = page(app, user, AT_ONCE.min(limit - count), cursor.take()).await?;
        for task in &items {
            let text = format.task(task, count == 0).map_err(|_| Problem::internal())?;
            if body.len() + text.len() + TAIL > BODY_LIMIT {
                break 'pages;
            }
            body.extend(text);
            count += 1;
            cursor = Some(tasks::cursor_after(task));
        }
        cursor = next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    body.extend(format.tail(cursor.as_deref()));
    Ok((body, cursor))
}

async fn page(app: &App, user: &UserId, limit: usize, cursor: Option<String>) -> Result<Page<Task>, Problem> {
    let filter = TaskFilter {
        status: StatusFilter::All,
        sort: Sort::CreatedAt,
        limit: u32::try_from(limit).ok(),
        cursor,
        ..TaskFilter::default()
    };
    let mut connection = app.database.pool()?.acquire().await?;
    let mut page = tasks::list(&mut connection, user, &filter).await?;
    tasks::count_from_here(&mut connection, &mut page.items).await?;
    Ok(page)
}
