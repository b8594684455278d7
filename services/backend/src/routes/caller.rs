//! Whose tasks a request is about: `user_id` in its body, its query or the header `x-user-id`.

use axum::{
    RequestPartsExt,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use sqlx::PgConnection;
use todo_common::{
    auth,
    idempotency::{self, Once},
    problem::{self, Fields, Json, Problem, Query},
    tasks::UserId,
};
use utoipa::ToSchema;

use crate::app::App;

/// A body that says whose it is and nothing else.
#[derive(Deserialize, ToSchema)]
pub(super) struct Whose {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
}

/// The user of a request that needs no body; one with `user_id` is taken.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    /// Set where the request is to be done once, however often it comes.
    once: Option<Once>,
}

/// The user and the body of a request.
#[derive(Debug)]
pub(super) struct Owned<T>(pub(super) Caller, pub(super) T);

/// The user and a body of any kind.
#[derive(Debug)]
pub(crate) struct Uploaded {
    pub(crate) caller: Caller,
    /// Without parameters, in small letters.
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

impl Caller {
    /// Does `work` in a transaction, with the caller's idempotency key if there is one.
    pub(crate) async fn write<T: IntoResponse>(
        &self,
        app: &App,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Problem>,
    ) -> Result<Response, Problem> {
        idempotency::write(&app.database, &self.user, self.once.as_ref(), work).await
    }
}

/// A body that may say whose it is, as the specification has it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Owned` reads")]
pub(super) struct Body<T> {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    #[serde(flatten)]
    content: T,
}

impl<S: Send + Sync> FromRequest<S> for Caller {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (mut parts, body) = problem::read(request).await?;
        let named: Option<String> = Fields::of_body(&body)?.optional("user_id")?;
        caller(&mut parts, &body, named.as_deref()).await
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequest<S> for Owned<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = problem::read(request).await?;
        let request = Request::from_parts(parts.clone(), body.clone().into());
        let Json(mut fields): Json<Fields> = Json::from_request(request, state).await?;
        let named: Option<String> = fields.optional("user_id")?;
        let content = fields.rest()?;
        Ok(Self(caller(&mut parts, &body, named.as_deref()).await?, content))
    }
}

impl<S: Send + Sync> FromRequest<S> for Uploaded {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (mut parts, body) = problem::read(request).await?;
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let caller = caller(&mut parts, &body, None).await?;
        Ok(Self { caller, content_type, body })
    }
}

async fn caller(parts: &mut Parts, body: &[u8], named: Option<&str>) -> Result<Caller, Problem> {
    let Query(query): Query<Whose> = parts.extract().await?;
    let user = auth::user(named, query.user_id.as_deref(), &parts.headers)?;
    Ok(Caller { user, once: Once::of(parts, body)? })
}
