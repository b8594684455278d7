//! What the sidecar says when it cannot reach a service, in words for the person before the page.

use axum::http::StatusCode;
use serde::Deserialize;
use todo_common::problem::Problem;

/// Dapr's own errors are far smaller; a service's error that is larger is passed on as it is.
pub(crate) const LONGEST_ERROR: usize = 64 * 1024;
/// Characters of Dapr's words that are logged.
const MOST_WORDS: usize = 300;

#[derive(Deserialize)]
struct DaprError {
    #[serde(rename = "errorCode")]
    code: String,
    #[serde(default)]
    message: String,
}

/// A problem if this is the sidecar's own error and not the service's answer. Services never answer with `errorCode`.
pub(crate) fn sidecar_problem(app: &str, status: StatusCode, body: &[u8]) -> Option<Problem> {
    let DaprError { code, message } = serde_json::from_slice(body).ok()?;
    if !code.starts_with("ERR_") {
        return None;
    }
    tracing::warn!(app, %status, code, words = plain(&message), "the sidecar could not call the service");
    Some(if status == StatusCode::FORBIDDEN {
        Problem::new(StatusCode::BAD_GATEWAY, "denied", "The service may not be called").detail(format!(
            "Dapr's access control does not let frontend-service call this at {app}; see the Configuration `todo-platform`"
        ))
    } else {
        Problem::unavailable(format!(
            "{app} cannot be reached; it may be starting or have no ready pod. Try again in a few seconds"
        ))
    })
}

/// No answer at all.
pub(crate) fn transport_problem(app: &str, error: reqwest::Error) -> Problem {
    let unreachable = error.is_connect();
    tracing::warn!(app, error = %error.without_url(), "the sidecar gave no answer");
    if unreachable {
        Problem::unavailable(
            "the Dapr sidecar of the page cannot be reached; it may still be starting. Try again in a few seconds",
        )
    } else {
        cut_off(app)
    }
}

/// An answer without anything in it. Services say of what type their words are; a sidecar whose connection to one breaks at the
/// wrong moment says 200 and nothing else (seen with Dapr 1.16.0), and that is no success.
pub(crate) fn nothing_problem(app: &str) -> Problem {
    tracing::warn!(app, "the sidecar passed on an answer without anything in it");
    cut_off(app)
}

fn cut_off(app: &str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "bad-gateway", "The answer was cut off")
        .detail(format!("the connection to {app} broke before it answered; it may have done what was asked"))
}

/// Dapr's words without paths and URLs, which have users' ids, search words and names of conversations in them.
fn plain(message: &str) -> String {
    let words = message.split_whitespace().map(|word| if word.contains('/') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(MOST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNREACHABLE: &[u8] =
        br#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: backend-service, err: timed out"}"#;

    #[test]
    fn a_service_without_pods_is_unavailable() {
        let problem = sidecar_problem("backend-service", StatusCode::INTERNAL_SERVER_ERROR, UNREACHABLE).unwrap();
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(problem.sentence().contains("backend-service"));
    }

    #[test]
    fn a_denied_call_is_a_fault_of_the_platform_and_not_of_the_person() {
        let problem = sidecar_problem("backend-service", StatusCode::FORBIDDEN, UNREACHABLE).unwrap();
        assert_eq!(problem.status(), StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn what_is_logged_of_the_sidecars_words_has_no_user_in_it() {
        let died =
            r#"failed to invoke, id: backend-service, err: Get "http://127.0.0.1:8000/api/tasks?user_id=ada": EOF"#;
        assert_eq!(plain(died), "failed to invoke, id: backend-service, err: Get … EOF");
        assert_eq!(plain(&"a".repeat(301)).len(), MOST_WORDS);
    }

    #[test]
    fn a_services_own_error_is_passed_on() {
        for own in
            [&br#"{"type":"about:blank","detail":"no such task"}"#[..], b"", b"oops", br#"{"errorCode":"teapot"}"#]
        {
            assert!(sidecar_problem("backend-service", StatusCode::INTERNAL_SERVER_ERROR, own).is_none());
        }
    }
}
