//! What a user does with channels.

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use todo_common::{
    auth,
    database::Database,
    idempotency::{self, IdempotencyKey, KeptBody, Keyed},
    problem::{FieldError, Fields, Json, Path, Problem, Query},
    tasks::Page,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Changes, Channel, Confirmation, Kind, codes, input, tries};
use crate::{
    deliveries::{self, Delivery},
    notification,
    router::App,
};

/// Who asks, where the body does not say it.
#[derive(Deserialize)]
pub(crate) struct Caller {
    user_id: Option<String>,
}

/// A new channel.
#[derive(Serialize, ToSchema)]
struct Created {
    #[serde(flatten)]
    channel: Channel,
    /// A signing secret that was made here. It is shown this one time: it is not in the answer to the same request sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    secret: Option<String>,
    /// Present in the answer to the same request sent again: a secret was made and is shown no more. Who did not get it sets
    /// another one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    secret_was_shown: bool,
}

impl Created {
    /// The answer, of which a secret is not kept.
    fn answer(mut self) -> Result<Response, Problem> {
        let status = StatusCode::CREATED;
        if self.secret.is_none() {
            return Ok((status, Json(self)).into_response());
        }
        let shown = serde_json::to_vec(&self).map_err(|_| Problem::internal())?;
        (self.secret, self.secret_was_shown) = (None, true);
        let kept = serde_json::to_vec(&self).map_err(|_| Problem::internal())?;
        Ok((status, Extension(KeptBody(kept.into())), [(CONTENT_TYPE, "application/json")], shown).into_response())
    }
}

/// The code that was sent to an e-mail address.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Code {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    /// Eight digits.
    #[schema(pattern = "^[0-9]{8}$")]
    code: String,
}

/// Which kinds of channels can be added, and what a client needs for each.
#[utoipa::path(
    get,
    path = "/api/notifications/channel-kinds",
    tag = "channels",
    responses(
        (status = 200, description = "By the name of the kind", body = Object),
    )
)]
pub(crate) async fn kinds(State(app): State<App>) -> Json<Value> {
    let settings = &app.settings;
    let mut kinds = Map::new();
    if let Some(push) = &settings.web_push {
        kinds.insert(Kind::WebPush.as_str().to_owned(), json!({"public_key": push.vapid.public_key()}));
    }
    if settings.webhooks.is_some() {
        kinds.insert(Kind::Webhook.as_str().to_owned(), json!({}));
    }
    if settings.smtp.is_some() {
        kinds.insert(Kind::Email.as_str().to_owned(), json!({}));
    }
    if let Some(server) = &settings.ntfy {
        kinds.insert(Kind::Ntfy.as_str().to_owned(), json!({"base_url": server.as_str()}));
    }
    Json(Value::Object(kinds))
}

/// Lists channels, the oldest first. There are few, so they are one page.
#[utoipa::path(
    get,
    path = "/api/notifications/channels",
    tag = "channels",
    responses(
        (status = 200, description = "All channels", body = Page<Channel>),
    )
)]
pub(crate) async fn list(
    State(database): State<Database>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
) -> Result<Json<Page<Channel>>, Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    let items = database.read(async |connection| super::list(connection, &user).await).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// Reads a channel.
#[utoipa::path(
    get,
    path = "/api/notifications/channels/{id}",
    tag = "channels",
    params(("id" = Uuid, Path, description = "The channel")),
    responses(
        (status = 200, description = "The channel", body = Channel),
        (status = 404, description = "This user has no such channel"),
    )
)]
pub(crate) async fn show(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
) -> Result<Json<Channel>, Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    database.read(async |connection| super::get(connection, &user, id).await.map(Json)).await
}

/// Adds a channel. An e-mail address gets a code that has to be confirmed: at most three in a day, and ten for one user.
#[utoipa::path(
    post,
    path = "/api/notifications/channels",
    tag = "channels",
    params(IdempotencyKey),
    request_body = input::Request,
    responses(
        (status = 201, description = "The new channel", body = Created),
        (status = 409, description = "This user has such a channel, or too many"),
        (status = 429, description = "Too many codes were sent, for this user or to this address; or the user has too many idempotency keys", headers(
            ("retry-after" = u64, description = "Seconds until another one may be sent"),
        )),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Keyed(once, Json(fields)): Keyed<Json<Fields>>,
) -> Result<Response, Problem> {
    let request = input::Request::read(fields)?;
    let user = auth::user(request.user_id.as_deref(), caller.user_id.as_deref(), &headers)?;
    let new = request.check(&app.settings)?;
    idempotency::write(&app.database, &user, once.as_ref(), async |connection| {
        let channel = super::create(&mut *connection, &user, &new).await?;
        if !channel.confirmed {
            codes::count(&mut *connection, &user, &channel.target).await?;
            deliveries::add(connection, &channel, None).await?;
        }
        Created { channel, secret: new.made_secret, secret_was_shown: false }.answer()
    })
    .await
}

/// Changes a channel. Where it goes cannot be changed.
#[utoipa::path(
    patch,
    path = "/api/notifications/channels/{id}",
    tag = "channels",
    params(("id" = Uuid, Path, description = "The channel"), IdempotencyKey),
    request_body = Changes,
    responses(
        (status = 200, description = "The channel", body = Channel),
        (status = 404, description = "This user has no such channel"),
    )
)]
pub(crate) async fn update(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Keyed(once, Json(changes)): Keyed<Json<Changes>>,
) -> Result<Response, Problem> {
    let user = auth::user(changes.user_id.as_deref(), caller.user_id.as_deref(), &headers)?;
    let changes = changes.check()?;
    let update = async |connection: &mut PgConnection| super::update(connection, &user, id, &changes).await.map(Json);
    idempotency::write(&database, &user, once.as_ref(), update).await
}

/// Removes a channel and what waits for it.
#[utoipa::path(
    delete,
    path = "/api/notifications/channels/{id}",
    tag = "channels",
    params(("id" = Uuid, Path, description = "The channel"), IdempotencyKey),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "This user has no such channel"),
    )
)]
pub(crate) async fn delete(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Keyed(once, _): Keyed<Bytes>,
) -> Result<Response, Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    idempotency::write(&database, &user, once.as_ref(), async |connection| {
        super::delete(connection, &user, id).await.map(|()| StatusCode::NO_CONTENT)
    })
    .await
}

/// Shows that an e-mail address is the own one, by the code that was sent to it. To do it twice changes nothing, and a wrong code
/// counts each time; so it takes no idempotency key.
#[utoipa::path(
    post,
    path = "/api/notifications/channels/{id}/confirm",
    tag = "channels",
    params(("id" = Uuid, Path, description = "The channel")),
    request_body = Code,
    responses(
        (status = 200, description = "The channel", body = Channel),
        (status = 404, description = "This user has no such channel"),
        (status = 409, description = "There were too many wrong codes"),
    )
)]
pub(crate) async fn confirm(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Json(request): Json<Code>,
) -> Result<Json<Channel>, Problem> {
    let user = auth::user(request.user_id.as_deref(), caller.user_id.as_deref(), &headers)?;
    let code = request.code.trim();
    if code.len() != 8 || !code.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Problem::invalid(vec![FieldError::new("code", "must be the eight digits that were sent")]));
    }
    let mut transaction = database.begin().await?;
    let confirmation = super::confirm(&mut transaction, &user, id, code).await?;
    transaction.commit().await?;
    match confirmation {
        Confirmation::Confirmed(channel) => Ok(Json(channel)),
        Confirmation::WrongCode => {
            Err(Problem::invalid(vec![FieldError::new("code", "is not the one that was sent to this address")]))
        }
        Confirmation::TooManyWrongCodes => {
            Err(Problem::conflict("there were too many wrong codes; delete the channel and add it anew"))
        }
    }
}

/// Sends a notification by this channel alone. Answers its delivery, which goes on by itself. In ten minutes at most five go to one
/// target, whoever asks.
#[utoipa::path(
    post,
    path = "/api/notifications/channels/{id}/test",
    tag = "channels",
    params(("id" = Uuid, Path, description = "The channel"), IdempotencyKey),
    responses(
        (status = 202, description = "The delivery", body = Delivery),
        (status = 404, description = "This user has no such channel"),
        (status = 409, description = "The channel is not confirmed or switched off"),
        (status = 429, description = "Too many tests were sent, to this target, to its host or for this user; or the user has too many idempotency keys", headers(
            ("retry-after" = u64, description = "Seconds until another one may be sent"),
        )),
    )
)]
pub(crate) async fn test(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Keyed(once, _): Keyed<Bytes>,
) -> Result<Response, Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    idempotency::write(&database, &user, once.as_ref(), async |connection| {
        let channel = super::get(&mut *connection, &user, id).await?;
        if !channel.confirmed {
            return Err(Problem::conflict("confirm the address first, by the code that was sent to it"));
        }
        if !channel.enabled {
            return Err(Problem::conflict("the channel is switched off; switch it on first"));
        }
        tries::count(&mut *connection, &user, std::slice::from_ref(&channel)).await?;
        let test = notification::New::test(&channel);
        // Only a reminder can be there already, and this is none.
        let stored = test.store(&mut *connection).await?.ok_or_else(Problem::internal)?;
        let delivery = deliveries::add(connection, &channel, Some(stored.id)).await?;
        Ok((StatusCode::ACCEPTED, Json(delivery)))
    })
    .await
}
