//! `GET /api/tasks`: filter, search, sort, pages.

use axum::{Router, extract::State, http::HeaderMap, routing::get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use todo_common::{
    auth,
    problem::{FieldError, Json, Problem, Query},
    tasks::{self, Page, Priority, Sort, StatusFilter, Task, TaskFilter},
};

use crate::app::App;

pub(super) fn router() -> Router<App> {
    Router::new().route("/api/tasks", get(list))
}

/// The query. Lists are separated by commas: `priority=high,urgent`, `tag=home,garden`.
#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    user_id: Option<String>,
    /// `open` (or `pending`), `completed` or `all`, which is the default.
    status: Option<String>,
    priority: Option<String>,
    tag: Option<String>,
    /// With `true` one of the tags is enough.
    #[serde(default)]
    any_tag: bool,
    q: Option<String>,
    due_after: Option<DateTime<Utc>>,
    due_before: Option<DateTime<Utc>>,
    /// With `true` the deleted tasks instead.
    #[serde(default)]
    deleted: bool,
    /// `due`, `created_at`, `updated_at`, `priority`, `title`; with `-` before it the other way round.
    sort: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Json<Page<Task>>, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    let filter = query.filter().map_err(|error| Problem::invalid(vec![error]))?;
    let mut connection = app.database.pool()?.acquire().await?;
    Ok(Json(tasks::list(&mut connection, &user, &filter).await?))
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
