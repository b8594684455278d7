//! Changes of tasks that are there.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    super::history::{Change, Outcome, Request},
    Client, FAR_AWAY, PATIENCE, PAUSE,
};

/// How often a completion is told again, all at the same time.
const AGAIN: usize = 4;
/// Tasks that are changed at once.
const TOGETHER: usize = 3;
const FIRST_VERSION: i64 = 1;

impl Client {
    pub(super) async fn complete(&mut self, task: Uuid) {
        let change = json!({"user_id": self.user, "priority": "high", "notes": null});
        let (outcome, changed) = self.send(Method::PATCH, &self.path(task, ""), &[], &change).await;
        self.history.note(Request::Update { task, version: changed["version"].as_i64() }, outcome);
        self.make(task, Change::Complete, None).await;
    }

    /// What comes of it is not asked for: the completion's event is enough.
    pub(super) async fn replay(&self, task: Uuid) {
        let Some(page) = &self.page else { return };
        let (path, nothing) = (self.path(task, "/process-completion"), json!({}));
        join_all((0..AGAIN).map(|_| timeout(PATIENCE, page.post(&path, &nothing)))).await;
    }

    pub(super) async fn move_far_away(&mut self, task: Uuid) {
        let change = json!({"user_id": self.user, "due_at": FAR_AWAY});
        let (outcome, moved) = self.send(Method::PATCH, &self.path(task, ""), &[], &change).await;
        self.history.note(Request::Move { task, version: moved["version"].as_i64() }, outcome);
    }

    /// Makes one after the other of a new task, until it is not known what it is. Each is asked for of the version that the
    /// one before has made: a sidecar that lost a connection sends a request again, and one that arrives late would
    /// undo what came after it.
    pub(super) async fn in_turn(&mut self, task: Uuid, changes: &[Change]) {
        for (version, change) in (FIRST_VERSION..).zip(changes) {
            if self.make(task, *change, Some(version)).await != Outcome::Acknowledged {
                return;
            }
            sleep(PAUSE.mul_f64(rand::random())).await;
        }
    }

    /// `version`: only of this one.
    pub(super) async fn make(&mut self, task: Uuid, change: Change, version: Option<i64>) -> Outcome {
        let (method, path, body) = match change {
            Change::Delete => (Method::DELETE, self.path(task, ""), Value::Null),
            _ => (Method::POST, self.path(task, &format!("/{}", change.word())), json!({})),
        };
        let tag = version.map(|version| format!("\"{version}\""));
        let headers: Vec<(&str, &str)> = tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
        let (outcome, _) = self.send(method, &path, &headers, &body).await;
        self.history.note(Request::Make { tasks: vec![task], change }, outcome);
        outcome
    }

    /// Makes several tasks, and this of all of them at once.
    pub(super) async fn bulk(&mut self, title: &str, change: Change) {
        let mut tasks = Vec::new();
        for number in 0..TOGETHER {
            let title = format!("{title}-{number}");
            let recurrence = json!({"rrule": "FREQ=DAILY"});
            let body = json!({"user_id": self.user, "title": title, "due_at": FAR_AWAY, "recurrence": recurrence});
            tasks.extend(self.create(&title, false, &body).await);
        }
        if tasks.is_empty() {
            return;
        }
        let body = json!({"user_id": self.user, "action": change.word(), "ids": tasks});
        let (outcome, answer) = self.send(Method::POST, "/api/tasks/bulk", &[], &body).await;
        // The answer has a word for each. That one cannot be changed is no reason not to change the others.
        let is_done = |item: &Value| item["task"].is_object();
        let is_whole = answer["items"].as_array().is_some_and(|items| items.iter().all(is_done));
        let outcome = if outcome == Outcome::Acknowledged && !is_whole { Outcome::Unknown } else { outcome };
        self.history.note(Request::Make { tasks, change }, outcome);
    }
}
