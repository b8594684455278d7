//! Reading JSON so that what is wrong has the name of its field.

use std::{error::Error, iter};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{FieldError, Problem};

/// The members of an object, which are read one after the other: serde does not know the names of what it reads from a part of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Fields(Map<String, Value>);

impl From<Map<String, Value>> for Fields {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl Fields {
    /// The object that a body is, which may be left out. Nothing else is one: of a list, serde would take the members by their places.
    ///
    /// # Errors
    /// 400 for what is no object.
    pub fn of_body(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let fields: Option<Self> = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request(format!("the body is no JSON object: {error}")))?;
        Ok(fields.unwrap_or_default())
    }

    /// Reads a member and takes it out. Without it, and where it is `null`, there is nothing.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let value = self.0.shift_remove(name).unwrap_or_default();
        from_value(value).map_err(|error: FieldError| error.within(name))
    }

    /// The same of one that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, FieldError> {
        self.optional(name)?.ok_or_else(|| missing(name))
    }

    /// Reads what was not taken out.
    pub fn rest<T: DeserializeOwned>(self) -> Result<T, FieldError> {
        from_value(Value::Object(self.0))
    }
}

/// Reads a value. The field is empty where all of it is wrong.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(value).map_err(|error| field_error(&error))
}

type Located = serde_path_to_error::Error<serde_json::Error>;

/// What is wrong, by an error that has its place somewhere among its causes.
pub(super) fn located(error: &(dyn Error + 'static)) -> Option<FieldError> {
    let mut causes = iter::successors(Some(error), |&error| error.source());
    causes.find_map(|cause| cause.downcast_ref::<Located>()).map(field_error)
}

fn field_error(error: &Located) -> FieldError {
    let (path, inner) = (error.path(), error.inner());
    let field = if path.iter().len() == 0 { String::new() } else { path.to_string() };
    let message = inner.to_string();
    // The field says where it is.
    let place = format!(" at line {} column {}", inner.line(), inner.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    // What is not there has no place.
    match message.strip_prefix("missing field `").and_then(|name| name.strip_suffix('`')) {
        Some(name) => missing(name).within(&field),
        None => FieldError::new(field, message),
    }
}

fn missing(name: &str) -> FieldError {
    FieldError::new(name, "is missing")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tasks::{NewTask, TaskPatch};

    fn wrong<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
        from_value::<T>(value).unwrap_err().field
    }

    #[test]
    fn what_is_wrong_has_the_name_that_the_caller_wrote() {
        for (value, field) in [
            (json!({"title": "a", "priority": "huge"}), "priority"),
            (json!({"title": "a", "due_at": "soon"}), "due_at"),
            (json!({"title": 1}), "title"),
            (json!({"notes": "a"}), "title"),
            (json!({"title": "a", "tags": ["b", 7]}), "tags[1]"),
            (json!({"title": "a", "recurrence": {"rrule": 7}}), "recurrence.rrule"),
            (json!({"title": "a", "reminders": [{"at": "soon"}]}), "reminders[0].at"),
            (json!([]), ""),
        ] {
            assert_eq!(wrong::<NewTask>(value.clone()), field, "{value}");
        }
        assert_eq!(wrong::<TaskPatch>(json!({"title": null})), "title");
    }

    #[test]
    fn members_that_are_read_by_themselves_keep_their_names() {
        let mut fields: Fields = serde_json::from_value(json!({"user_id": 7, "task": {"tags": [1]}})).unwrap();
        assert_eq!(fields.optional::<String>("user_id").unwrap_err().field, "user_id");
        assert_eq!(fields.optional::<String>("user_id"), Ok(None));
        assert_eq!(fields.clone().required::<NewTask>("task").unwrap_err().field, "task.tags[0]");
        assert_eq!(fields.required::<String>("kind").unwrap_err(), missing("kind"));
    }

    #[test]
    fn a_message_does_not_say_the_place_twice() {
        let error = axum::Json::<NewTask>::from_bytes(br#"{"title": "a", "tags": 7}"#).unwrap_err();
        let error = located(&error).unwrap();
        assert_eq!(error, FieldError::new("tags", "invalid type: integer `7`, expected a sequence"));
    }
}
