//! Conversations in Dapr's state store, each under `conversation-{id}` with its owner in it.
//!
//! The key prefix of the store may be `none`, and ids are chosen by callers: so who owns a conversation is checked at every use, and
//! somebody else's looks the same as none.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use todo_common::{
    dapr::{Client, Error, Etag},
    problem::{FieldError, Problem},
    tasks::UserId,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// Dapr component of the state store.
pub(crate) const STORE: &str = "statestore";
/// Messages that are kept.
const HISTORY: usize = 50;
/// A conversation that nobody continues is gone after this.
const LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Tries to save against somebody who saves at the same time, such as a second tab.
const TRIES: usize = 5;
/// Ids that begin so are taken: `conversation-user-{user}` is what the MCP tools remember of a user.
const USER: &str = "user-";

/// Id of a conversation: 1 to 64 letters, digits, `-` and `_`, which also keeps Dapr's `||` out of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ConversationId(String);

impl ConversationId {
    /// An id for a new conversation; it cannot be guessed.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The id that a caller gave.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=64).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with(USER) {
            return Ok(Self(text.to_owned()));
        }
        let message = "write 1 to 64 letters, digits, - and _, not beginning with user-";
        Err(Problem::invalid(vec![FieldError::new("conversation_id", message)]))
    }

    fn key(&self) -> String {
        format!("conversation-{}", self.0)
    }
}

/// What is kept of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Conversation {
    /// Whose it is.
    user_id: String,
    /// The last messages, oldest first.
    messages: Vec<Message>,
    /// The tasks of the list that was shown last: what "task 3" means.
    #[serde(default)]
    pub(crate) shown: Vec<Uuid>,
    /// When the last message came.
    updated_at: DateTime<Utc>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Message {
    role: Role,
    content: String,
    at: DateTime<Utc>,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

/// What was said in one turn.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The person's message.
    pub(crate) message: String,
    /// The answer.
    pub(crate) response: String,
    /// The tasks that numbers mean from now on, if a list was shown.
    pub(crate) shows: Option<Vec<Uuid>>,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

/// A conversation as it was read.
pub(crate) type Stored = Option<(Conversation, Etag)>;

impl Conversation {
    /// The conversation with one more exchange, cut to the last messages.
    fn after(stored: Option<Self>, user: &UserId, exchange: &Exchange) -> Self {
        let (mut messages, shown) = stored.map(|stored| (stored.messages, stored.shown)).unwrap_or_default();
        let said = |role, content: &str| Message { role, content: content.to_owned(), at: exchange.at };
        messages.push(said(Role::User, &exchange.message));
        messages.push(said(Role::Assistant, &exchange.response));
        messages.drain(..messages.len().saturating_sub(HISTORY));
        let shown = exchange.shows.clone().unwrap_or(shown);
        Self { user_id: user.as_str().to_owned(), messages, shown, updated_at: exchange.at }
    }
}

/// Reads a conversation of `user`, if there is one.
///
/// # Errors
/// 404 if it is somebody else's.
pub(crate) async fn load(dapr: &Client, id: &ConversationId, user: &UserId) -> Result<Stored, Problem> {
    let stored: Stored = dapr.state_get(STORE, &id.key()).await?;
    match &stored {
        Some((conversation, _)) if conversation.user_id != user.as_str() => Err(unknown()),
        _ => Ok(stored),
    }
}

/// Adds an exchange to what `stored` was when it was read. What others said meanwhile is kept.
pub(crate) async fn append(
    dapr: &Client,
    id: &ConversationId,
    user: &UserId,
    mut stored: Stored,
    exchange: &Exchange,
) -> Result<(), Problem> {
    for _ in 0..TRIES {
        let (conversation, etag) = stored.unzip();
        let next = Conversation::after(conversation, user, exchange);
        match dapr.state_save(STORE, &id.key(), &next, etag.as_ref(), Some(LIFETIME)).await {
            Err(Error::Conflict) => stored = load(dapr, id, user).await?,
            result => return Ok(result?),
        }
    }
    Err(Error::Conflict.into())
}

/// Deletes a conversation of `user` as it was at this version. One that is gone is no error: another of these was first.
///
/// # Errors
/// 409 if somebody has spoken in it since.
pub(crate) async fn delete(dapr: &Client, id: &ConversationId, user: &UserId, version: &Etag) -> Result<(), Problem> {
    match dapr.state_delete(STORE, &id.key(), Some(version)).await {
        Err(Error::Conflict) if load(dapr, id, user).await?.is_none() => Ok(()),
        result => Ok(result?),
    }
}

/// 404, the same for none and for somebody else's.
pub(crate) fn unknown() -> Problem {
    Problem::not_found("this user has no such conversation")
}

/// Notes which tool a user called last, under `conversation-user-{user}`. It is a convenience: when it cannot be saved, the tool has
/// worked nevertheless.
pub(crate) async fn remember_action(dapr: &Client, user: &UserId, action: &str) {
    // Dapr refuses such keys.
    if user.as_str().contains("||") {
        return;
    }
    let key = format!("conversation-{USER}{}", user.as_str());
    let saved = async {
        let (mut state, etag) = dapr.state_get::<Map<String, Value>>(STORE, &key).await?.unzip();
        let state = state.get_or_insert_default();
        state.insert("last_action".into(), json!(action));
        state.insert("updated_at".into(), json!(Utc::now()));
        dapr.state_save(STORE, &key, state, etag.as_ref(), Some(LIFETIME)).await
    };
    match saved.await {
        // Somebody else noted an action at the same moment, which is as good.
        Ok(()) | Err(Error::Conflict) => {}
        Err(error) => tracing::warn!(error = error.outline(), "the last action of a user was not noted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(number: usize) -> Exchange {
        Exchange {
            message: format!("message {number}"),
            response: format!("response {number}"),
            shows: None,
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_the_last_messages_are_kept() {
        let user = UserId::new("ada").unwrap();
        let conversation =
            (0..40).fold(None, |stored, number| Some(Conversation::after(stored, &user, &exchange(number))));
        let messages = conversation.unwrap().messages;
        assert_eq!(messages.len(), HISTORY);
        assert_eq!(messages[0].content, "message 15");
        assert_eq!(messages[HISTORY - 1].content, "response 39");
    }

    #[test]
    fn an_id_cannot_reach_other_keys() {
        assert!(ConversationId::parse("c-1_A").is_ok());
        for wrong in ["", "a||b", "user-ada", "a/b", "a b", &"x".repeat(65)] {
            assert!(ConversationId::parse(wrong).is_err(), "{wrong}");
        }
    }
}
