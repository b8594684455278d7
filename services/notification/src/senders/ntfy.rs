//! ntfy: <https://docs.ntfy.sh/publish/>.

use axum::http::StatusCode;
use serde_json::json;
use url::Url;

use super::{Failure, Parcel, Verdict, http::Client};

/// Publishes as JSON, because headers cannot hold every character.
pub(super) async fn send(client: &Client, server: &Url, parcel: &Parcel) -> Result<(), Failure> {
    let content = &parcel.content;
    let body = json!({"topic": parcel.target, "title": content.title, "message": content.message}).to_string();
    let token = parcel.secret.as_ref().map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(token.as_deref().map(|token| ("authorization", token)));
    client.post(server, &headers, body).await.map_err(|failure| match failure.status {
        Some(StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Failure { verdict: Verdict::Never, ..failure }
        }
        _ => failure,
    })
}
