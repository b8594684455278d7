//! Load: each client makes tasks, changes, moves, completes, reopens, deletes and restores them, alone and several at once,
//! publishes events of its own, and writes down what it was told.

mod changes;
mod foreign;

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Ground,
    history::{Change, History, Outcome, Request},
};
use crate::harness::http::Http;

/// After it, a client gives up and does not know.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(300);
/// Day of what is not due in a test.
const FAR_AWAY: &str = "2031-06-01T09:00:00Z";
/// Longest time after which a task is moved or deleted: reminders are looked for every 15 s, and some are then on their way.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(20);
/// Characters of the notes that a task has at first if it is to be completed: its first event is long, and the rest are not.
pub(super) const LONG_NOTES: usize = 8_000;
const NOTE: &str = "to do ";
/// How often a request with an idempotency key is sent: what was done is asked for again, too.
const TRIES: usize = 3;
const ALREADY_OR_NOT_THERE: [StatusCode; 3] =
    [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED];

/// What a task is made for; each client takes them by turns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A reminder.
    Remind,
    /// A reminder that may be on its way when this happens to the task.
    TakeBack(TakeBack),
    /// A completion.
    Repeat,
    /// A completion that is told again, several times at once, beside its event.
    Replay,
    /// These, one after the other: what is taken back may be on its way.
    InTurn(&'static [Change]),
    /// Several tasks of which this is made at once.
    Bulk(Change),
    /// One task, however often it is asked for.
    Once,
    /// Events of another publisher.
    Tell,
}

/// What makes a reminder obsolete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TakeBack {
    Move,
    Delete,
}

const PURPOSES: [Purpose; 14] = [
    Purpose::Remind,
    Purpose::Repeat,
    Purpose::TakeBack(TakeBack::Move),
    Purpose::InTurn(&[Change::Complete, Change::Reopen]),
    Purpose::Replay,
    Purpose::Tell,
    Purpose::Bulk(Change::Complete),
    Purpose::Once,
    Purpose::TakeBack(TakeBack::Delete),
    Purpose::InTurn(&[Change::Complete, Change::Reopen, Change::Complete]),
    Purpose::Repeat,
    Purpose::InTurn(&[Change::Delete, Change::Restore]),
    Purpose::Tell,
    Purpose::Bulk(Change::Delete),
];

/// Works until `stop`, as this user.
pub(super) async fn run(ground: Ground, user: String, stop: CancellationToken) -> History {
    let mut client = Client { ground, user, page: None, to_take_back: Vec::new(), history: History::default() };
    for (number, purpose) in PURPOSES.iter().cycle().enumerate() {
        if stop.is_cancelled() {
            break;
        }
        client.serve(&format!("{}-{number}", client.user), *purpose).await;
        client.take_some_back().await;
        sleep(PAUSE).await;
    }
    client.history
}

struct Client {
    ground: Ground,
    user: String,
    /// The way to a pod of the page, until it fails.
    page: Option<Http>,
    /// Tasks whose reminders are to be taken back, when and how.
    to_take_back: Vec<(Instant, Uuid, TakeBack)>,
    history: History,
}

impl Client {
    /// `title`: of the task that is made, or a part of it where there are several.
    async fn serve(&mut self, title: &str, purpose: Purpose) {
        match purpose {
            Purpose::Bulk(change) => return self.bulk(title, change).await,
            Purpose::Once => return self.create_once(title).await,
            _ => {}
        }
        let mut body = json!({"user_id": self.user, "title": title, "due_at": FAR_AWAY});
        let reminded = matches!(purpose, Purpose::Remind | Purpose::TakeBack(_));
        if reminded {
            body["due_at"] = jiff::Timestamp::now().to_string().into();
        } else if purpose != Purpose::Tell {
            body["recurrence"] = json!({"rrule": "FREQ=DAILY"});
        }
        if matches!(purpose, Purpose::Repeat | Purpose::Replay) {
            body["notes"] = NOTE.repeat(LONG_NOTES / NOTE.len()).into();
        }
        let Some(task) = self.create(title, reminded, &body).await else { return };
        match purpose {
            Purpose::Remind | Purpose::Bulk(_) | Purpose::Once => {}
            Purpose::TakeBack(how) => {
                let after = TAKEN_BACK_WITHIN.mul_f64(rand::random());
                self.to_take_back.push((Instant::now() + after, task, how));
            }
            Purpose::Tell => self.tell(task).await,
            Purpose::Repeat => self.complete(task).await,
            Purpose::Replay => {
                self.complete(task).await;
                self.replay(task).await;
            }
            Purpose::InTurn(changes) => self.in_turn(task, changes).await,
        }
    }

    /// Makes a task and gives its identity, if it is known to be there.
    async fn create(&mut self, title: &str, reminded: bool, body: &Value) -> Option<Uuid> {
        let (outcome, task) = self.send(Method::POST, "/api/tasks", &[], body).await;
        self.history.note(Request::Create { title: title.to_owned(), reminded }, outcome);
        if outcome == Outcome::Acknowledged { id_of(&task) } else { None }
    }

    /// Asks again and again for one task.
    async fn create_once(&mut self, title: &str) {
        let (key, mut outcomes) = (Uuid::new_v4().to_string(), Vec::new());
        let body =
            json!({"user_id": self.user, "title": title, "due_at": FAR_AWAY, "recurrence": {"rrule": "FREQ=DAILY"}});
        for _ in 0..TRIES {
            outcomes.push(self.send(Method::POST, "/api/tasks", &[("idempotency-key", &key)], &body).await.0);
        }
        self.history.note(Request::CreateOnce { title: title.to_owned() }, Outcome::of_tries(&outcomes));
    }

    /// Takes back the reminders whose time for it has come.
    async fn take_some_back(&mut self) {
        let now = Instant::now();
        while let Some(place) = self.to_take_back.iter().position(|(when, ..)| *when <= now) {
            let (_, task, how) = self.to_take_back.swap_remove(place);
            match how {
                TakeBack::Move => self.move_far_away(task).await,
                TakeBack::Delete => drop(self.make(task, Change::Delete, None).await),
            }
        }
    }

    fn path(&self, task: Uuid, action: &str) -> String {
        format!("/api/tasks/{task}{action}?user_id={}", self.user)
    }

    /// Sends once: what is sent again after no answer is another request.
    async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> (Outcome, Value) {
        if self.page.is_none() {
            self.page = self.ground.page().await.ok();
        }
        let Some(page) = &self.page else { return (Outcome::Unknown, Value::Null) };
        let Ok(Ok(answer)) = timeout(PATIENCE, page.send(method, path, headers, body)).await else {
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

fn id_of(task: &Value) -> Option<Uuid> {
    task["id"].as_str().and_then(|id| id.parse().ok())
}
