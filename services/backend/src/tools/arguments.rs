//! The arguments of a call, as the input schemas say. `null` counts as absent, because models send it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use todo_common::tasks::{NewTask, Priority, Recurrence, StatusFilter, TaskFilter, TaskPatch};
use uuid::Uuid;

use super::Error;

/// Arguments that are not read yet.
#[derive(Debug)]
pub(super) struct Arguments {
    task_id: Option<Value>,
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    title: Option<String>,
    description: Option<String>,
    due_at: Option<DateTime<Utc>>,
    due_date: Option<NaiveDate>,
    time_zone: Option<String>,
    priority: Option<Priority>,
    tags: Option<Vec<String>>,
    rrule: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    status: Option<StatusFilter>,
    query: Option<String>,
    tag: Option<String>,
    due_before: Option<DateTime<Utc>>,
}

impl Arguments {
    /// Whose tasks they are has been found out before.
    pub(super) fn new(mut rest: Map<String, Value>) -> Self {
        rest.remove("user_id");
        Self { task_id: rest.remove("task_id"), rest }
    }

    /// The task that the call is about.
    pub(super) fn task_id(&self) -> Result<Uuid, Error> {
        let text = self.task_id.as_ref().and_then(Value::as_str);
        text.and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| Error::Refused("task_id must be the id of a task, as list_tasks shows it".to_owned()))
    }

    /// For `list_tasks`.
    pub(super) fn filter(self) -> Result<TaskFilter, Error> {
        let filter: Filter = self.read()?;
        Ok(TaskFilter {
            status: filter.status.unwrap_or(StatusFilter::All),
            q: filter.query,
            tags: filter.tag.into_iter().collect(),
            due_before: filter.due_before,
            ..TaskFilter::default()
        })
    }

    /// For `create_task`.
    pub(super) fn new_task(self) -> Result<NewTask, Error> {
        let fields: Fields = self.read()?;
        Ok(NewTask {
            title: fields.title.unwrap_or_default(),
            notes: fields.description,
            priority: fields.priority.unwrap_or_default(),
            tags: fields.tags.unwrap_or_default(),
            due_at: fields.due_at,
            due_date: fields.due_date,
            time_zone: fields.time_zone,
            recurrence: fields.rrule.map(Recurrence::Rrule),
            ..NewTask::default()
        })
    }

    /// For `update_task`: what is absent stays.
    pub(super) fn patch(self) -> Result<TaskPatch, Error> {
        let fields: Fields = self.read()?;
        Ok(TaskPatch {
            title: fields.title,
            notes: fields.description.map(Some),
            priority: fields.priority,
            tags: fields.tags,
            due_at: fields.due_at.map(Some),
            due_date: fields.due_date.map(Some),
            time_zone: fields.time_zone,
            recurrence: fields.rrule.map(Recurrence::Rrule).map(Some),
            ..TaskPatch::default()
        })
    }

    fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_value(Value::Object(self.rest))
            .map_err(|error| Error::Refused(format!("the arguments cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: &Value) -> Arguments {
        Arguments::new(value.as_object().unwrap().clone())
    }

    #[test]
    fn null_is_absent_and_unknown_names_are_refused() {
        let new =
            arguments(&json!({"user_id": "ada", "title": "a", "description": null, "priority": "high"})).new_task();
        let new = new.unwrap();
        assert_eq!((new.title.as_str(), new.notes, new.priority), ("a", None, Priority::High));
        assert!(
            matches!(arguments(&json!({"title": "a", "colour": "red"})).new_task(), Err(Error::Refused(words)) if words.contains("colour"))
        );
    }

    #[test]
    fn an_update_leaves_what_it_does_not_name() {
        let patch = arguments(&json!({"task_id": "x", "due_date": "2026-12-01"})).patch().unwrap();
        assert_eq!(patch, TaskPatch { due_date: Some(NaiveDate::from_ymd_opt(2026, 12, 1)), ..TaskPatch::default() });
    }

    #[test]
    fn pending_means_open_and_nothing_means_all() {
        assert_eq!(arguments(&json!({"status": "pending"})).filter().unwrap().status, StatusFilter::Open);
        assert_eq!(arguments(&json!({})).filter().unwrap().status, StatusFilter::All);
    }

    #[test]
    fn a_task_is_named_by_its_id() {
        assert!(matches!(arguments(&json!({"task_id": 3})).task_id(), Err(Error::Refused(_))));
        assert!(arguments(&json!({"task_id": "0193a1b0-7c1e-7000-8000-000000000001"})).task_id().is_ok());
    }
}
