//! Pages of lists: how long they are, and where one ended, which is opaque to callers.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::problem::{FieldError, Problem};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Sort value (as the database writes it) and id of the last item of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What the list is sorted by.
    pub value: String,
    /// What makes the order total.
    pub id: Uuid,
}

impl Cursor {
    /// For a URL.
    pub fn encode(&self) -> String {
        opaque(&format!("{}{}", self.id.simple(), self.value))
    }

    /// Back again; nothing if it was made up.
    pub fn decode(text: &str) -> Option<Self> {
        let text = clear(text)?;
        let (id, value) = text.split_at_checked(32)?;
        Some(Self { value: value.to_owned(), id: id.parse().ok()? })
    }
}

/// A text for a URL in which nobody looks for anything.
pub(crate) fn opaque(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Back again; nothing if it was made up.
pub(crate) fn clear(text: &str) -> Option<String> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    // PostgreSQL's text cannot hold it.
    (!text.contains('\0')).then_some(text)
}

/// The cursor of a query, if it has one.
pub fn read(text: Option<&str>) -> Result<Option<Cursor>, FieldError> {
    text.map(|text| Cursor::decode(text).ok_or_else(wrong)).transpose()
}

/// What to tell about a cursor that is none, or that another list gave.
pub fn wrong() -> FieldError {
    FieldError::new("cursor", "must be the next_cursor of the page before, with the same filter and order")
}

/// How many items a page has for a caller who asked for so many.
pub fn limit(asked: Option<u32>) -> u32 {
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

/// Why the database gave no page.
pub fn explain(error: sqlx::Error) -> Problem {
    if is_refused(&error) { Problem::invalid(vec![wrong()]) } else { error.into() }
}

/// Whether the database refused the value of a cursor, which is of another sort then. Class 22 is "data exception".
pub fn is_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code.starts_with("22"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = Cursor { value: "größe %".to_owned(), id: Uuid::now_v7() };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        for text in ["", "x", "!!!!", "YWJj"] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
    }
}
