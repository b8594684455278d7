use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A subscriber's answer. Dapr knows only these three words; every other one means "again, for ever".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Handled, now or earlier.
    Success,
    /// Try again later.
    Retry,
    /// It can never be handled: to the dead-letter topic.
    Drop,
}

impl Reply {
    /// Dapr's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Retry => "RETRY",
            Self::Drop => "DROP",
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        axum::Json(json!({"status": self.word()})).into_response()
    }
}
