//! `/api/conversations/{id}`: what was said in a conversation.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use serde::{Deserialize, Serialize};
use todo_common::{
    auth,
    problem::{Json, Path, Problem, Query},
};

use crate::{
    app::App,
    conversation::{self, Conversation, ConversationId},
};

pub(super) fn router() -> Router<App> {
    Router::new().route("/api/conversations/{id}", get(read).delete(remove))
}

#[derive(Deserialize)]
struct Whose {
    user_id: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    conversation_id: ConversationId,
    #[serde(flatten)]
    conversation: Conversation,
}

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
