use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::ToSchema;

use crate::problem::FieldError;

/// Longest user id, in characters.
const LIMIT: usize = 128;
const CANARY: &str = "$canary";

/// Whose a task is: 1 to 128 characters without control characters, not beginning with `$`, which is for our own use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, sqlx::Type, ToSchema)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct UserId(String);

impl UserId {
    /// Checks what a caller says.
    pub fn new(text: &str) -> Result<Self, FieldError> {
        let wrong = |message: &str| Err(FieldError::new("user_id", message));
        if text.trim().is_empty() || text.chars().count() > LIMIT {
            return wrong("must have 1 to 128 characters");
        }
        if text.chars().any(char::is_control) {
            return wrong("must not have control characters");
        }
        if text.starts_with('$') {
            return wrong("must not begin with `$`: such names are for the platform's own use");
        }
        Ok(Self(text.to_owned()))
    }

    /// The reserved user of the canary.
    pub fn canary() -> Self {
        Self(CANARY.to_owned())
    }

    /// Whether it is the canary, which no list, stream, metric or export may show.
    pub fn is_canary(&self) -> bool {
        self.0 == CANARY
    }

    /// The id as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For events between our own services: takes the canary as well.
    pub fn deserialize_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == CANARY { Ok(Self(text)) } else { Self::new(&text).map_err(|error| D::Error::custom(error.message)) }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(|error| D::Error::custom(error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_ids_are_taken_as_they_are() {
        for id in ["ada", "ada@example.org", "a$b", "Zoë", &"x".repeat(128)] {
            assert_eq!(UserId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn what_nobody_may_be_is_refused() {
        for id in ["", "  ", "$canary", "$", "a\nb", &"x".repeat(129)] {
            assert!(UserId::new(id).is_err(), "{id:?}");
            assert!(serde_json::from_value::<UserId>(id.into()).is_err(), "{id:?}");
        }
    }
}
