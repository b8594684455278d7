//! Load: each client makes tasks, changes and completes them, and writes down what it was told.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::history::{History, Outcome, Request};
use crate::harness::{Platform, http::Http};

/// After it, a client gives up and does not know.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(300);
/// One in so many tasks is to be reminded of, the others repeat and are completed.
const REMINDED: u64 = 3;
const ALREADY_OR_NOT_THERE: [StatusCode; 3] =
    [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED];

/// Works until `stop`, as this user.
pub(super) async fn run(platform: Platform, user: String, stop: CancellationToken) -> History {
    let mut client = Client { platform, user, page: None, history: History::default() };
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        client.one_task(number).await;
        sleep(PAUSE).await;
    }
    client.history
}

struct Client {
    platform: Platform,
    user: String,
    /// The way to a pod of the page, until it fails.
    page: Option<Http>,
    history: History,
}

impl Client {
    async fn one_task(&mut self, number: u64) {
        let title = format!("{}-{number}", self.user);
        let reminded = number.is_multiple_of(REMINDED);
        let mut body = json!({"user_id": self.user, "title": title});
        if reminded {
            body["due_at"] = jiff::Timestamp::now().to_string().into();
        } else {
            body["due_at"] = "2031-06-01T09:00:00Z".into();
            body["recurrence"] = json!({"rrule": "FREQ=DAILY"});
        }
        let (outcome, task) = self.send(Method::POST, "/api/tasks".to_owned(), &body).await;
        self.history.note(Request::Create { title, reminded }, outcome);
        let id = task["id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
        let Some(task) = id.filter(|_| outcome == Outcome::Acknowledged && !reminded) else { return };

        let change = json!({"user_id": self.user, "priority": "high"});
        let (outcome, changed) = self.send(Method::PATCH, self.path(task, ""), &change).await;
        self.history.note(Request::Update { task, version: changed["version"].as_i64() }, outcome);
        let (outcome, _) = self.send(Method::POST, self.path(task, "/complete"), &json!({})).await;
        self.history.note(Request::Complete { task }, outcome);
    }

    fn path(&self, task: Uuid, action: &str) -> String {
        format!("/api/tasks/{task}{action}?user_id={}", self.user)
    }

    /// Sends once: what is sent again after no answer is another request.
    async fn send(&mut self, method: Method, path: String, body: &Value) -> (Outcome, Value) {
        if self.page.is_none() {
            self.page = self.platform.page().await.ok();
        }
        let Some(page) = &self.page else { return (Outcome::Unknown, Value::Null) };
        let Ok(Ok(answer)) = timeout(PATIENCE, page.send(method, &path, &[], body)).await else {
            self.page = None;
            return (Outcome::Unknown, Value::Null);
        };
        let outcome = match answer.status {
            status if status.is_success() => Outcome::Acknowledged,
            // A sidecar that lost a connection sends a request again, and the second may meet what the first has done.
            status if ALREADY_OR_NOT_THERE.contains(&status) => Outcome::Unknown,
            status if status.is_client_error() => Outcome::Refused,
            _ => Outcome::Unknown,
        };
        (outcome, answer.json())
    }
}
