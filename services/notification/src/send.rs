//! `POST /send-notification`: what other services want a user to be told. `method` says by which channels: `push` means all
//! of the user's, one of their kinds those of that kind, and another word the list on the page alone.

use axum::{extract::State, response::Response};
use chrono::Utc;
use serde::Deserialize;
use todo_common::{
    database::Database,
    idempotency::{self, Keyed},
    problem::{FieldError, Json, Problem},
    tasks::UserId,
};
use uuid::Uuid;

use crate::{channels, deliveries, notification::New};

const TITLE: usize = 200;
const MESSAGE: usize = 4000;
const METHOD: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Request {
    user_id: String,
    message: String,
    title: Option<String>,
    task_id: Option<Uuid>,
    method: Option<String>,
    /// It shows whether the channels work, and counts as a test of each.
    #[serde(default)]
    test: bool,
}

/// Stores the notification and answers it.
pub(crate) async fn send(
    State(database): State<Database>,
    Keyed(once, Json(request)): Keyed<Json<Request>>,
) -> Result<Response, Problem> {
    let is_test = request.test;
    let new = check(request).map_err(Problem::invalid)?;
    let user = new.user_id.clone();
    idempotency::write(&database, &user, once.as_ref(), async |connection| {
        if is_test {
            let channels = channels::of_method(&mut *connection, &user, &new.method).await?;
            channels::tries::count(&mut *connection, &user, &channels).await?;
        }
        // Only a reminder can be there already, and this is none.
        let stored = new.store(&mut *connection).await?.ok_or_else(Problem::internal)?;
        deliveries::plan(connection, std::slice::from_ref(&stored)).await?;
        Ok(Json(stored))
    })
    .await
}

fn check(request: Request) -> Result<New, Vec<FieldError>> {
    let mut mistakes = Vec::new();
    let mut text = |field: &'static str, text: String, most: usize| {
        if text.trim().is_empty() || text.chars().count() > most || text.contains('\0') {
            mistakes
                .push(FieldError::new(field, format!("must have 1 to {most} characters, without the character zero")));
        }
        text
    };
    let title = text("title", request.title.unwrap_or_else(|| "Notification".to_owned()), TITLE);
    let message = text("message", request.message, MESSAGE);
    let method = text("method", request.method.unwrap_or_else(|| "push".to_owned()), METHOD);
    match UserId::new(&request.user_id) {
        Ok(user_id) if mistakes.is_empty() => Ok(New {
            id: Uuid::now_v7(),
            user_id,
            task_id: request.task_id,
            reminder_id: None,
            title,
            message,
            method,
            show_at: Utc::now(),
        }),
        Ok(_) => Err(mistakes),
        Err(mistake) => {
            mistakes.push(mistake);
            Err(mistakes)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(request: Value) -> Result<New, Vec<FieldError>> {
        super::check(serde_json::from_value(request).unwrap())
    }

    #[test]
    fn the_specifications_call_is_enough() {
        let new = check(json!({"user_id": "ada", "message": "Buy groceries"})).unwrap();
        assert_eq!((new.title.as_str(), new.method.as_str()), ("Notification", "push"));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let told = check(json!({"user_id": "$canary", "message": " ", "title": "x".repeat(201)})).unwrap_err();
        let fields: Vec<_> = told.into_iter().map(|mistake| mistake.field).collect();
        assert_eq!(fields, ["title", "message", "user_id"]);
    }
}
