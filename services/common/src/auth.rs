//! Who is calling: the sidecar by its token, a person by `user_id` (mode `disabled`, where it is believed).

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::HeaderMap,
    middleware::{self, Next},
    response::Response,
};

use crate::{
    Sensitive,
    config::Settings,
    problem::{FieldError, Problem},
    tasks::UserId,
};

/// Header by which Dapr shows the app's token.
const TOKEN_HEADER: &str = "dapr-api-token";
/// Header by which the frontend says who is calling.
pub const USER_HEADER: &str = "x-user-id";

/// Lets only the sidecar call the routes of `router`. Without a token in the settings nobody may.
pub fn require_app_token<S: Clone + Send + Sync + 'static>(router: Router<S>, settings: &Settings) -> Router<S> {
    let token: Option<Arc<Sensitive>> = settings.app_token.clone().map(Arc::new);
    router.route_layer(middleware::from_fn_with_state(token, check_app_token))
}

async fn check_app_token(
    State(token): State<Option<Arc<Sensitive>>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let shown = request.headers().get(TOKEN_HEADER).map_or(&[][..], |value| value.as_bytes());
    if token.is_some_and(|token| token.equals(shown)) {
        Ok(next.run(request).await)
    } else {
        Err(Problem::unauthorized("only the sidecar of this app may call this, with the header `dapr-api-token`"))
    }
}

/// Says once at start what is believed and what is refused.
pub fn announce(settings: &Settings) {
    tracing::warn!("auth.mode is `disabled`: the user_id of every request is believed; do not expose this platform");
    if settings.app_token.is_none() {
        tracing::warn!("APP_API_TOKEN is not set: every call of the routes for Dapr is refused");
    }
}

/// The user of a request: from its body, its query or the header `x-user-id`. Where several say it, they must agree.
pub fn user(body: Option<&str>, query: Option<&str>, headers: &HeaderMap) -> Result<UserId, Problem> {
    let header = match headers.get(USER_HEADER) {
        Some(value) => Some(value.to_str().map_err(|_| Problem::bad_request("x-user-id must be plain text"))?),
        None => None,
    };
    let mut claims = [body, query, header].into_iter().flatten();
    let Some(first) = claims.next() else {
        let message = "say whose: write user_id in the body or the query, or send the header x-user-id";
        return Err(Problem::invalid(vec![FieldError::new("user_id", message)]));
    };
    if claims.any(|other| other != first) {
        return Err(Problem::forbidden("user_id in body, query and header are not the same person"));
    }
    UserId::new(first).map_err(|error| Problem::invalid(vec![error]))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};

    use super::*;

    fn header(user: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(USER_HEADER.parse().unwrap(), HeaderValue::from_static(user))])
    }

    #[test]
    fn a_user_may_be_named_anywhere() {
        let none = HeaderMap::new();
        assert_eq!(user(Some("ada"), None, &none).unwrap().as_str(), "ada");
        assert_eq!(user(None, Some("ada"), &none).unwrap().as_str(), "ada");
        assert_eq!(user(None, None, &header("ada")).unwrap().as_str(), "ada");
        assert_eq!(user(Some("ada"), Some("ada"), &header("ada")).unwrap().as_str(), "ada");
    }

    #[test]
    fn two_names_are_refused() {
        assert_eq!(user(Some("ada"), None, &header("bob")).unwrap_err().status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn nobody_is_told_what_to_write() {
        let problem = user(None, None, &HeaderMap::new()).unwrap_err();
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(problem.sentence().contains("user_id"));
    }

    #[test]
    fn the_canary_is_nobody() {
        assert!(user(Some("$canary"), None, &HeaderMap::new()).is_err());
    }
}
