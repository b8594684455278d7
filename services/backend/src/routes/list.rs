//! `GET /api/tasks`: filter, search, sort, pages.

use axum::{extract::State, http::HeaderMap};
use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use todo_common::{
    auth,
    problem::{FieldError, Json, Problem, Query},
    tasks::{self, Page, Priority, Sort, StatusFilter, Task, TaskFilter},
};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The query. Lists are separated by commas: `priority=high,urgent`, `tag=home,garden`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    #[param(ignore)]
    user_id: Option<String>,
    /// `open` (or `pending`), `completed` or `all`, which is the default.
    #[param(inline, value_type = Option<StatusFilter>)]
    status: Option<String>,
    /// One or several of them.
    #[param(style = Form, explode = false, value_type = Option<Vec<Priority>>)]
    priority: Option<String>,
    /// Tags, separated by commas; the tasks have all of them.
    #[param(style = Form, explode = false, value_type = Option<Vec<String>>)]
    tag: Option<String>,
    /// With `true` one of the tags is enough.
    #[serde(default)]
    any_tag: bool,
    /// Words of title or notes.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Due at or after this.
    due_after: Option<DateTime<Utc>>,
    /// Due before this.
    due_before: Option<DateTime<Utc>>,
    /// With `true` the deleted tasks instead.
    #[serde(default)]
    deleted: bool,
    /// `due`, `created_at`, `updated_at`, `priority`, `title`; with `-` before it the other way round.
    #[param(pattern = "^-?(due|created_at|updated_at|priority|title)$")]
    sort: Option<String>,
    /// `next_cursor` of the page before, with the same filter and order.
    cursor: Option<String>,
    /// Items of a page; 50 if absent, at most 200.
    #[param(format = Int64, maximum = 4_294_967_295u64)]
    limit: Option<u32>,
}

/// Lists tasks, page by page.
#[utoipa::path(
    get,
    path = "/api/tasks",
    tag = "tasks",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = Page<Task>),
    )
)]
async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Json<Page<Task>>, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    let filter = query.filter().map_err(|error| Problem::invalid(vec![error]))?;
    app.database.read(async |connection| tasks::list(connection, &user, &filter).await.map(Json)).await
}

impl ListQuery {
    fn filter(self) -> Result<TaskFilter, FieldError> {
        let sort = self.sort.as_deref().unwrap_or("due");
        let (sort, descending) = sort.strip_prefix('-').map_or((sort, false), |sort| (sort, true));
        Ok(TaskFilter {
            status: match self.status.as_deref() {
                Some(status) => word("status", status, "open, completed or all")?,
                None => StatusFilter::All,
            },
            q: self.q.filter(|q| !q.trim().is_empty()),
            priorities: words(self.priority.as_deref())
                .map(|priority| word::<Priority>("priority", priority, "none, low, medium, high or urgent"))
                .collect::<Result<_, _>>()?,
            tags: words(self.tag.as_deref()).map(str::to_owned).collect(),
            any_tag: self.any_tag,
            due_after: self.due_after,
            due_before: self.due_before,
            deleted: self.deleted,
            sort: word::<Sort>(
                "sort",
                sort,
                "due, created_at, updated_at, priority or title, with - before it for descending",
            )?,
            descending,
            cursor: self.cursor,
            limit: self.limit,
        })
    }
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Reads one of the words that an enum knows.
fn word<T: DeserializeOwned>(field: &str, text: &str, options: &str) -> Result<T, FieldError> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|_| FieldError::new(field, format!("write {options}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(change: impl FnOnce(&mut ListQuery)) -> Result<TaskFilter, FieldError> {
        let mut query = ListQuery::default();
        change(&mut query);
        query.filter()
    }

    #[test]
    fn an_empty_query_lists_everything_by_due_time() {
        let filter = filter(|_| {}).unwrap();
        assert_eq!(filter, TaskFilter { status: StatusFilter::All, ..TaskFilter::default() });
    }

    #[test]
    fn lists_are_separated_by_commas_and_a_minus_turns_the_order_round() {
        let filter = filter(|query| {
            query.priority = Some("high, urgent".into());
            query.tag = Some("home,garden".into());
            query.sort = Some("-created_at".into());
        })
        .unwrap();
        assert_eq!(filter.priorities, [Priority::High, Priority::Urgent]);
        assert_eq!(filter.tags, ["home", "garden"]);
        assert_eq!((filter.sort, filter.descending), (Sort::CreatedAt, true));
    }

    #[test]
    fn a_wrong_word_is_told_with_its_field() {
        assert_eq!(filter(|query| query.status = Some("closed".into())).unwrap_err().field, "status");
        assert_eq!(filter(|query| query.sort = Some("colour".into())).unwrap_err().field, "sort");
        assert_eq!(filter(|query| query.priority = Some("high,huge".into())).unwrap_err().field, "priority");
    }
}
