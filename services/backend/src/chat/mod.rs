//! `POST /api/chat`: sentences in, tool calls and words out.

mod command;
mod shown;
mod turn;
mod when;
mod words;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use todo_common::{
    auth,
    idempotency::{self, IdempotencyKey, KeptBody, Keyed, Once, OnlyRead},
    problem::{FieldError, Json, Problem},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    app::App,
    conversation::{self, ConversationId, Exchange},
};
use command::Command;
use turn::{ToolCall, Turn};
use when::Clock;

/// Longest message, in characters.
const LONGEST_MESSAGE: usize = 2000;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(chat))
}

/// A sentence of a person.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChatRequest)]
struct Request {
    /// The user, where the header does not say it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    /// The conversation that it continues; a new one if absent.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    conversation_id: Option<String>,
    /// The sentence.
    #[schema(max_length = 2000)]
    message: String,
    /// IANA name of the zone that times in the message are meant in; UTC where it is not given.
    #[schema(format = "time-zone")]
    time_zone: Option<String>,
}

/// What was done and said.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatAnswer)]
struct Answer {
    conversation_id: ConversationId,
    /// The answer in words.
    response: String,
    /// What was done, in order.
    tool_calls: Vec<ToolCall>,
    /// What has answered: a parser of commands, no language model.
    engine: &'static str,
}

/// Does what a sentence asks for.
#[utoipa::path(
    post,
    path = "/api/chat",
    tag = "chat",
    params(IdempotencyKey),
    request_body = Request,
    responses(
        (status = 200, description = "What was done and said", body = Answer),
        (status = 404, description = "This user has no such conversation"),
    )
)]
async fn chat(
    State(app): State<App>,
    headers: HeaderMap,
    Keyed(once, Json(request)): Keyed<Json<Request>>,
) -> Result<Response, Problem> {
    let user = auth::user(request.user_id.as_deref(), None, &headers)?;
    let zone = zone(request.time_zone.as_deref())?;
    check_length(&request.message)?;
    let (id, stored) = match &request.conversation_id {
        Some(id) => {
            let id = ConversationId::parse(id)?;
            let stored = conversation::load(&app.dapr, &id, &user).await?;
            (id, stored)
        }
        None => (ConversationId::random(), None),
    };
    let clock = Clock { now: Utc::now(), zone };
    let shown = stored.as_ref().map(|(conversation, _)| conversation.shown.clone()).unwrap_or_default();
    // A sentence that is said again because there was no answer tells the person once.
    let id_of_part = once.as_ref().map_or_else(Uuid::new_v4, Once::request_id_of_part);
    let command = command::parse(&request.message, &clock);
    let mut notified = None;
    if matches!(command, Command::Notify) {
        if let Some(once) = &once
            && let Some(answer) = idempotency::kept(&app.database, &user, once).await?
        {
            return Ok(answer);
        }
        notified = Some(turn::notify(&app.dapr, &user, id_of_part).await?);
    }
    let mut exchange = None;
    let take_turn = async |connection: &mut PgConnection| {
        let mut turn = Turn { connection, user: &user, clock, notified, shown, shows: None, calls: Vec::new() };
        let response = turn.run(command).await?;
        let Turn { shows, calls, .. } = turn;
        exchange = Some(Exchange { message: request.message, response: response.clone(), shows, at: clock.now });
        Answer { conversation_id: id.clone(), response, tool_calls: calls, engine: "commands" }.respond()
    };
    let answer = idempotency::write(&app.database, &user, once.as_ref(), take_turn).await?;
    // None where the answer is from before: that exchange is in the history.
    let Some(exchange) = exchange else { return Ok(answer) };
    match conversation::append(&app.dapr, &id, &user, stored, &exchange).await {
        // Numbers would go on to mean the tasks of another list than the person sees. Nothing was changed: it can be said again.
        Err(problem) if exchange.shows.is_some() => Err(problem),
        Err(problem) => {
            // The tools have worked: an error here would make the caller do it all again.
            tracing::warn!(kind = problem.kind(), "an exchange is missing in the history of its conversation");
            Ok(answer)
        }
        Ok(()) => Ok(answer),
    }
}

impl Answer {
    /// With what is kept of it, to be given to whoever sends the sentence again: nothing of one that has only read, or tasks
    /// would be shown as they were. Nor are the lists kept in which a task was searched, which may be long.
    fn respond(mut self) -> Result<Response, Problem> {
        if !self.tool_calls.iter().any(ToolCall::changes) {
            return Ok((Extension(OnlyRead), Json(self)).into_response());
        }
        let told = serde_json::to_vec(&self).map_err(|_| Problem::internal())?;
        self.tool_calls.retain(ToolCall::changes);
        let kept = serde_json::to_vec(&self).map_err(|_| Problem::internal())?;
        Ok((Extension(KeptBody(kept.into())), [(CONTENT_TYPE, "application/json")], told).into_response())
    }
}

fn zone(name: Option<&str>) -> Result<Tz, Problem> {
    name.map_or(Ok(Tz::UTC), str::parse).map_err(|_| {
        Problem::invalid(vec![FieldError::new("time_zone", "write an IANA name, for example Europe/Berlin")])
    })
}

fn check_length(message: &str) -> Result<(), Problem> {
    if message.chars().count() > LONGEST_MESSAGE {
        let words = format!("at most {LONGEST_MESSAGE} characters");
        return Err(Problem::invalid(vec![FieldError::new("message", words)]));
    }
    Ok(())
}
