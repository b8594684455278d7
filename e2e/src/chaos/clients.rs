//! Load: each client makes tasks, changes, moves and completes them, publishes events of its own, and writes down what it
//! was told.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Ground,
    history::{History, Outcome, Request},
};
use crate::harness::http::Http;

/// After it, a client gives up and does not know.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(300);
/// Day of what is not due in a test.
const FAR_AWAY: &str = "2031-06-01T09:00:00Z";
/// Longest time after which a task is moved: reminders are looked for every 15 s, and some are then on their way.
const MOVED_WITHIN: Duration = Duration::from_secs(20);
/// Characters of the notes that a task has at first if it is to be completed: its first event is long, and the rest are not.
pub(super) const LONG_NOTES: usize = 8_000;
const NOTE: &str = "to do ";
/// How often a completion is told again, all at the same time.
const AGAIN: usize = 4;
/// Longer than any way to be reminded.
const NO_METHOD: usize = 60;
const ALREADY_OR_NOT_THERE: [StatusCode; 3] =
    [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED];

/// What a task is made for; each client takes them by turns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A reminder.
    Remind,
    /// A reminder that may be on its way when the task is moved.
    Move,
    /// A completion.
    Repeat,
    /// A completion that is told again, several times at once, beside its event.
    Replay,
    /// Events of another publisher.
    Tell,
}

const PURPOSES: [Purpose; 6] =
    [Purpose::Remind, Purpose::Repeat, Purpose::Move, Purpose::Replay, Purpose::Tell, Purpose::Repeat];

/// Works until `stop`, as this user.
pub(super) async fn run(ground: Ground, user: String, stop: CancellationToken) -> History {
    let mut client = Client { ground, user, page: None, moves: Vec::new(), history: History::default() };
    for (number, purpose) in PURPOSES.iter().cycle().enumerate() {
        if stop.is_cancelled() {
            break;
        }
        client.one_task(number, *purpose).await;
        client.move_some().await;
        sleep(PAUSE).await;
    }
    client.history
}

struct Client {
    ground: Ground,
    user: String,
    /// The way to a pod of the page, until it fails.
    page: Option<Http>,
    /// Tasks that are to be moved, and when.
    moves: Vec<(Instant, Uuid)>,
    history: History,
}

impl Client {
    async fn one_task(&mut self, number: usize, purpose: Purpose) {
        let title = format!("{}-{number}", self.user);
        let reminded = matches!(purpose, Purpose::Remind | Purpose::Move);
        let mut body = json!({"user_id": self.user, "title": title, "due_at": FAR_AWAY});
        match purpose {
            Purpose::Remind | Purpose::Move => body["due_at"] = jiff::Timestamp::now().to_string().into(),
            Purpose::Repeat | Purpose::Replay => {
                body["recurrence"] = json!({"rrule": "FREQ=DAILY"});
                body["notes"] = NOTE.repeat(LONG_NOTES / NOTE.len()).into();
            }
            Purpose::Tell => {}
        }
        let (outcome, task) = self.send(Method::POST, "/api/tasks".to_owned(), &body).await;
        self.history.note(Request::Create { title, reminded }, outcome);
        let id = task["id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
        let Some(task) = id.filter(|_| outcome == Outcome::Acknowledged) else { return };
        match purpose {
            Purpose::Remind => {}
            Purpose::Move => {
                let after = MOVED_WITHIN.mul_f64(rand::random());
                self.moves.push((Instant::now() + after, task));
            }
            Purpose::Tell => self.tell(task).await,
            Purpose::Repeat => self.complete(task).await,
            Purpose::Replay => {
                self.complete(task).await;
                self.replay(task).await;
            }
        }
    }

    async fn complete(&mut self, task: Uuid) {
        let change = json!({"user_id": self.user, "priority": "high", "notes": null});
        let (outcome, changed) = self.send(Method::PATCH, self.path(task, ""), &change).await;
        self.history.note(Request::Update { task, version: changed["version"].as_i64() }, outcome);
        let (outcome, _) = self.send(Method::POST, self.path(task, "/complete"), &json!({})).await;
        self.history.note(Request::Complete { task }, outcome);
    }

    /// What comes of it is not asked for: the completion's event is enough.
    async fn replay(&self, task: Uuid) {
        let Some(page) = &self.page else { return };
        let (path, nothing) = (self.path(task, "/process-completion"), json!({}));
        join_all((0..AGAIN).map(|_| timeout(PATIENCE, page.post(&path, &nothing)))).await;
    }

    /// Moves the tasks whose time has come.
    async fn move_some(&mut self) {
        let now = Instant::now();
        while let Some(place) = self.moves.iter().position(|(when, _)| *when <= now) {
            let (_, task) = self.moves.swap_remove(place);
            let change = json!({"user_id": self.user, "due_at": FAR_AWAY});
            let (outcome, moved) = self.send(Method::PATCH, self.path(task, ""), &change).await;
            self.history.note(Request::Move { task, version: moved["version"].as_i64() }, outcome);
        }
    }

    /// Publishes one event twice, as everybody does who does not know whether it has worked, together with one that cannot
    /// be handled.
    async fn tell(&mut self, task: Uuid) {
        let (event, impossible) = (Uuid::new_v4(), Uuid::new_v4());
        let data = |method: &str| {
            let now = jiff::Timestamp::now().to_string();
            json!({"task_id": task, "user_id": self.user, "title": "told", "remind_at": now, "notification_method": method})
        };
        let entry = |id: Uuid, method: &str| {
            let metadata = json!({"cloudevent.id": id, "partitionKey": task});
            json!({"entryId": Uuid::new_v4(), "event": data(method), "contentType": "application/json", "metadata": metadata})
        };
        let entries = json!([entry(event, "push"), entry(event, "push"), entry(impossible, &"x".repeat(NO_METHOD))]);
        let publish = async {
            let sidecar = self.ground.sidecar("backend-service").await?;
            anyhow::Ok(sidecar.post("/v1.0-alpha1/publish/bulk/kafka-pubsub/reminders", &entries).await?)
        };
        let outcome = match timeout(PATIENCE, publish).await {
            Ok(Ok(answer)) if answer.status.is_success() => Outcome::Acknowledged,
            _ => Outcome::Unknown,
        };
        self.history.note(Request::Tell { event, task }, outcome);
        self.history.note(Request::Impossible { event: impossible }, outcome);
    }

    fn path(&self, task: Uuid, action: &str) -> String {
        format!("/api/tasks/{task}{action}?user_id={}", self.user)
    }

    /// Sends once: what is sent again after no answer is another request.
    async fn send(&mut self, method: Method, path: String, body: &Value) -> (Outcome, Value) {
        if self.page.is_none() {
            self.page = self.ground.page().await.ok();
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
