//! `/api/conversations/{id}`: what was said in a conversation.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::ETAG},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use todo_common::{
    auth,
    dapr::Etag,
    idempotency::{self, IdempotencyKey, Keyed},
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
    params(
        ("id" = String, Path, description = "The conversation", min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$"),
        IdempotencyKey,
    ),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "This user has no such conversation"),
        (status = 409, description = "Somebody is speaking in it, or a request with this idempotency key is under way"),
    )
)]
async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(whose): Query<Whose>,
    headers: HeaderMap,
    Keyed(once, _): Keyed<Bytes>,
) -> Result<Response, Problem> {
    let user = auth::user(None, whose.user_id.as_deref(), &headers)?;
    let id = ConversationId::parse(&id)?;
    let gone = StatusCode::NO_CONTENT;
    let version = async || -> Result<Etag, Problem> {
        let stored = conversation::load(&app.dapr, &id, &user).await?;
        stored.map(|(_, version)| version).ok_or_else(conversation::unknown)
    };
    let Some(once) = once else {
        // The database has no part in it.
        conversation::delete(&app.dapr, &id, &user, &version().await?).await?;
        return Ok(gone.into_response());
    };
    // Outside of a transaction: the store may take long, and others need the connection meanwhile. And answered before it is done:
    // what breaks off in the middle is sent again, does the rest of it, and finds the answer though the conversation is gone.
    let mut answer = if let Some(answer) = idempotency::kept(&app.database, &user, &once).await? {
        answer
    } else {
        let kept = (gone, [(ETAG, version().await?.as_str().to_owned())]);
        idempotency::write(&app.database, &user, Some(&once), async |_| Ok(kept)).await?
    };
    if let Some(version) = answer.headers_mut().remove(ETAG).and_then(|etag| Some(Etag::new(etag.to_str().ok()?))) {
        match conversation::delete(&app.dapr, &id, &user, &version).await {
            // With the version in its answer it would go on to delete.
            Ok(()) => idempotency::forget_headers(&app.database, &user, &once).await?,
            Err(problem) if problem.status() == StatusCode::CONFLICT => {
                idempotency::forget(&app.database, &user, &once).await?;
                return Err(problem);
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(answer)
}
