//! Whose tasks a request is about: `user_id` in its body, its query or the header `x-user-id`.

use axum::{
    RequestExt,
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::{Deserialize, de::DeserializeOwned};
use todo_common::{
    auth,
    problem::{Json, Problem, Query},
    tasks::UserId,
};
use utoipa::ToSchema;

/// A body that says whose it is and nothing else.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Whose {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
}

/// The user of a request that needs no body; one with `user_id` is taken.
#[derive(Debug)]
pub(super) struct Caller(pub(super) UserId);

/// The user and the body of a request.
#[derive(Debug)]
pub(super) struct Owned<T>(pub(super) UserId, pub(super) T);

/// A body that may say whose it is, as the specification has it.
#[derive(Deserialize, ToSchema)]
pub(super) struct Body<T> {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    #[serde(flatten)]
    content: T,
}

impl<S: Send + Sync> FromRequest<S> for Caller {
    type Rejection = Problem;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Problem> {
        let Query(query): Query<Whose> = request.extract_parts().await?;
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, &()).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            } else {
                Problem::bad_request(rejection.body_text())
            }
        })?;
        let body: Whose = if body.is_empty() {
            Whose::default()
        } else {
            let body: Option<Whose> = serde_json::from_slice(&body)
                .map_err(|error| Problem::bad_request(format!("the body is no JSON object: {error}")))?;
            body.unwrap_or_default()
        };
        auth::user(body.user_id.as_deref(), query.user_id.as_deref(), &headers).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Owned<T> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        let Query(query): Query<Whose> = request.extract_parts().await?;
        let headers = request.headers().clone();
        let Json(body): Json<Body<T>> = Json::from_request(request, state).await?;
        let user = auth::user(body.user_id.as_deref(), query.user_id.as_deref(), &headers)?;
        Ok(Self(user, body.content))
    }
}
