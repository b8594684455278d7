use reqwest::{Response, StatusCode};
use serde::Deserialize;

/// Longest text of the sidecar that is passed on.
const MESSAGE_LIMIT: usize = 300;

/// Why a call of the sidecar failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer: the sidecar is away, slow or cut the connection.
    #[error("{operation}: the sidecar gave no answer: {source}")]
    Transport {
        /// What was tried.
        operation: &'static str,
        /// The client's error, without the URL.
        source: reqwest::Error,
    },
    /// An answer that is not 2xx.
    #[error("{operation}: the sidecar answered {status} {code}: {message}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// HTTP status.
        status: StatusCode,
        /// Dapr's error code, or nothing where another app has answered.
        code: String,
        /// Dapr's words, or those of another app's problem; cut.
        message: String,
    },
    /// State was changed by somebody else since it was read.
    #[error("the state was changed by somebody else")]
    Conflict,
    /// An answer that is not what Dapr documents.
    #[error("{operation}: the sidecar's answer cannot be read: {message}")]
    Unreadable {
        /// What was tried.
        operation: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The endpoint that the service was given is no URL.
    #[error("the sidecar's endpoint is no URL")]
    Endpoint,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(rename = "errorCode", default)]
    code: String,
    message: Option<String>,
    /// Of problem details (RFC 9457).
    detail: Option<String>,
    title: Option<String>,
}

impl Error {
    /// Whether the same call may work later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Conflict | Self::Unreadable { .. } | Self::Endpoint => false,
        }
    }

    /// HTTP status of the answer, where there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What happened without Dapr's words, which for state have the key in them, and with that a user's id.
    pub fn outline(&self) -> String {
        match self {
            Self::Refused { operation, status, code, .. } => {
                format!("{operation}: the sidecar answered {status} {code}")
            }
            other => other.to_string(),
        }
    }

    pub(super) async fn refused(operation: &'static str, response: Response) -> Self {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        Self::from_body(operation, status, &text)
    }

    pub(super) fn from_body(operation: &'static str, status: StatusCode, text: &str) -> Self {
        let body: Body = serde_json::from_str(text).unwrap_or_default();
        let said = body.message.or(body.detail).or(body.title);
        let message = said.as_deref().unwrap_or(text).chars().take(MESSAGE_LIMIT).collect();
        Self::Refused { operation, status, code: body.code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_has_no_words_of_dapr() {
        let body = r#"{"errorCode": "ERR_STATE_GET", "message": "fail to get conversation-user-ada"}"#;
        let error = Error::from_body("state", StatusCode::INTERNAL_SERVER_ERROR, body);
        assert_eq!(error.outline(), "state: the sidecar answered 500 Internal Server Error ERR_STATE_GET");
    }

    #[test]
    fn another_apps_problem_is_told_in_its_words() {
        for (body, words) in [
            (r#"{"type": "urn:x", "title": "Too many", "detail": "at most 5"}"#, "at most 5"),
            (r#"{"type": "urn:x", "title": "Too many"}"#, "Too many"),
            (r#"{"errorCode": "ERR", "message": "no app"}"#, "no app"),
            ("not JSON", "not JSON"),
        ] {
            let error = Error::from_body("calling", StatusCode::TOO_MANY_REQUESTS, body);
            assert!(matches!(&error, Error::Refused { message, .. } if message == words), "{error}");
        }
    }
}
