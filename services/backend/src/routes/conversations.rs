//! `/api/conversations/{id}`: what was said in a conversation.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use todo_common::{
    auth,
    problem::{Json, Path, Problem, Query},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    conversation::{self, Conversation, ConversationId},
};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, remove))
}

#[derive(Deserialize)]
struct Whose {
    user_id: Option<String>,
}

/// A conversation with its id.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownConversation)]
struct Shown {
    conversation_id: ConversationId,
    #[serde(flatten)]
    conversation: Conversation,
}

/// Reads what was said in a conversation.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}",
    tag = "chat",
    params(("id" = String, Path, description = "The conversation", min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")),
    responses(
        (status = 200, description = "The conversation", body = Shown),
        (status = 404, description = "This user has no such conversation"),
    )
)]
async fn read(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(whose): Query<Whose>,
    headers: HeaderMap,
) -> Result<Json<Shown>, Problem> {
    let user = auth::user(None, whose.user_id.as_deref(), &headers)?;
    let conversation_id = ConversationId::parse(&id)?;
    let stored = conversation::load(&app.dapr, &conversation_id, &user).await?;
    let (conversation, _) = stored.ok_or_else(conversation::unknown)?;
    Ok(Json(Shown { conversation_id, conversation }))
}

/// Forgets a conversation.
#[utoipa::path(
    delete,
    path = "/api/conversations/{id}",
    tag = "chat",
    params(("id" = String, Path, description = "The conversation", min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "This user has no such conversation"),
        (status = 409, description = "Somebody is speaking in it"),
    )
)]
async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(whose): Query<Whose>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let user = auth::user(None, whose.user_id.as_deref(), &headers)?;
    conversation::delete(&app.dapr, &ConversationId::parse(&id)?, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}
