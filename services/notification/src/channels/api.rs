//! What a user does with channels.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use todo_common::{
    auth,
    database::Database,
    problem::{Json, Path, Problem, Query},
    tasks::Page,
};
use uuid::Uuid;

use super::{Changes, Channel, Kind, input};
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

#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    channel: Channel,
    /// A signing secret that was made here. It is shown this one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Code {
    user_id: Option<String>,
    code: String,
}

/// `GET …/channel-kinds`: what can be added, and what a client needs for it.
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

/// `GET …/channels`. There are few, so they are one page.
pub(crate) async fn list(
    State(database): State<Database>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
) -> Result<Json<Page<Channel>>, Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    let mut connection = database.pool()?.acquire().await?;
    Ok(Json(Page { items: super::list(&mut connection, &user).await?, next_cursor: None }))
}

/// `GET …/channels/{id}`
pub(crate) async fn show(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
) -> Result<Json<Channel>, Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    let mut connection = database.pool()?.acquire().await?;
    super::get(&mut connection, &user, id).await.map(Json)
}

/// `POST …/channels`. An e-mail address gets a code that has to be confirmed.
pub(crate) async fn create(
    State(app): State<App>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Json(request): Json<input::Request>,
) -> Result<Response, Problem> {
    let user = auth::user(request.user_id.as_deref(), caller.user_id.as_deref(), &headers)?;
    let new = request.check(&app.settings)?;
    let mut transaction = app.database.begin().await?;
    let channel = super::create(&mut transaction, &user, &new).await?;
    if !channel.confirmed {
        deliveries::add(&mut transaction, &channel, None).await?;
    }
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(Created { channel, secret: new.made_secret })).into_response())
}

/// `PATCH …/channels/{id}`
pub(crate) async fn update(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Json(changes): Json<Changes>,
) -> Result<Json<Channel>, Problem> {
    let user = auth::user(changes.user_id.as_deref(), caller.user_id.as_deref(), &headers)?;
    let mut connection = database.pool()?.acquire().await?;
    super::update(&mut connection, &user, id, &changes.check()?).await.map(Json)
}

/// `DELETE …/channels/{id}`
pub(crate) async fn delete(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    let mut connection = database.pool()?.acquire().await?;
    super::delete(&mut connection, &user, id).await.map(|()| StatusCode::NO_CONTENT)
}

/// `POST …/channels/{id}/confirm`
pub(crate) async fn confirm(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
    Json(request): Json<Code>,
) -> Result<Json<Channel>, Problem> {
    let user = auth::user(request.user_id.as_deref(), caller.user_id.as_deref(), &headers)?;
    let mut transaction = database.begin().await?;
    let confirmed = super::confirm(&mut transaction, &user, id, request.code.trim()).await?;
    transaction.commit().await?;
    confirmed.map(Json)
}

/// `POST …/channels/{id}/test`: a notification for this channel alone. Answers its delivery, which goes on by itself.
pub(crate) async fn test(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(caller): Query<Caller>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Delivery>), Problem> {
    let user = auth::user(None, caller.user_id.as_deref(), &headers)?;
    let mut transaction = database.begin().await?;
    let channel = super::get(&mut transaction, &user, id).await?;
    if !channel.confirmed {
        return Err(Problem::conflict("confirm the address first, by the code that was sent to it"));
    }
    if !channel.enabled {
        return Err(Problem::conflict("the channel is switched off; switch it on first"));
    }
    let test = notification::New::test(&channel);
    // Only a reminder can be there already, and this is none.
    let stored = test.store(&mut transaction).await?.ok_or_else(Problem::internal)?;
    let delivery = deliveries::add(&mut transaction, &channel, Some(stored.id)).await?;
    transaction.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}
