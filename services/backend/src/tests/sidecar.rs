//! A stand-in for daprd: a state store with etags, and service invocation. Its answers are those that Dapr 1.16 was seen to give.

use std::{
    collections::BTreeMap,
    future::pending,
    mem,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::ETAG},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

/// The running stand-in.
#[derive(Clone)]
pub(super) struct Sidecar {
    pub(super) endpoint: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    versions: u64,
    state: BTreeMap<String, (u64, Value)>,
    calls: Vec<(String, Value)>,
    call_ids: Vec<String>,
    before_next_save: Option<(String, Value)>,
    next_save_fails: bool,
    jobs: Vec<(String, Value)>,
    invocations_hang: bool,
    state_hangs: bool,
    hanging_reads: usize,
    removals_hang: bool,
    next_invocation: Option<(StatusCode, Value)>,
}

impl Seen {
    /// No value ever has one that another had, as PostgreSQL's transactions are numbered.
    fn next_version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }
}

impl Sidecar {
    pub(super) async fn start() -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let router = Router::new()
            .route("/v1.0/state/statestore", post(save))
            .route("/v1.0/state/statestore/{key}", get(read).delete(remove))
            .route("/v1.0/invoke/{app}/method/{method}", post(invoke))
            .route("/v1.0-alpha1/jobs/{name}", post(set_job))
            .with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, seen }
    }

    /// What is stored under `key`.
    pub(super) fn stored(&self, key: &str) -> Option<Value> {
        self.seen.lock().unwrap().state.get(key).map(|(_, value)| value.clone())
    }

    /// Calls of other services: `app/method` and body.
    pub(super) fn calls(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().calls.clone()
    }

    /// Ids of those calls.
    pub(super) fn call_ids(&self) -> Vec<String> {
        self.seen.lock().unwrap().call_ids.clone()
    }

    /// Jobs that were set: names and bodies.
    pub(super) fn jobs(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().jobs.clone()
    }

    /// Somebody else saves `value` just before the next save comes.
    pub(super) fn interfere(&self, key: &str, value: Value) {
        self.seen.lock().unwrap().before_next_save = Some((key.to_owned(), value));
    }

    /// The store is away when the next save comes.
    pub(super) fn fail_next_save(&self) {
        self.seen.lock().unwrap().next_save_fails = true;
    }

    /// Calls of other services are not answered any more.
    pub(super) fn hang_invocations(&self) {
        self.seen.lock().unwrap().invocations_hang = true;
    }

    /// The store does not answer any more.
    pub(super) fn hang_state(&self) {
        self.seen.lock().unwrap().state_hangs = true;
    }

    /// Whether the store answers when it has removed something.
    pub(super) fn answer_removals(&self, does: bool) {
        self.seen.lock().unwrap().removals_hang = !does;
    }

    /// How many reads of the store have no answer.
    pub(super) fn hanging_reads(&self) -> usize {
        self.seen.lock().unwrap().hanging_reads
    }

    /// The next call of another service is answered so.
    pub(super) fn refuse_next_invocation(&self, status: StatusCode, body: Value) {
        self.seen.lock().unwrap().next_invocation = Some((status, body));
    }
}

type Shared = State<Arc<Mutex<Seen>>>;

async fn save(State(seen): Shared, Json(items): Json<Vec<Value>>) -> Response {
    let mut seen = seen.lock().unwrap();
    if mem::take(&mut seen.next_save_fails) {
        let body = json!({"errorCode": "ERR_STATE_SAVE", "message": "failed saving state: connection refused"});
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response();
    }
    if let Some((key, value)) = seen.before_next_save.take() {
        let version = seen.next_version();
        seen.state.insert(key, (version, value));
    }
    for item in items {
        let key = item["key"].as_str().unwrap().to_owned();
        assert_eq!(item["options"], json!({"concurrency": "first-write", "consistency": "strong"}));
        // Thirty days: what nobody continues is gone after that.
        assert_eq!(item["metadata"], json!({"ttlInSeconds": "2592000"}));
        let current = seen.state.get(&key).map(|(version, _)| version.to_string());
        match (current, item["etag"].as_str()) {
            (Some(current), Some(etag)) if current == etag => {}
            (None, None) => {}
            (Some(_), None) => {
                let message = "failed saving state in state store statestore: no item was updated";
                let body = json!({"errorCode": "ERR_STATE_SAVE", "message": message});
                return (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response();
            }
            _ => return (StatusCode::CONFLICT, Json(json!({"errorCode": "ERR_STATE_SAVE"}))).into_response(),
        }
        let version = seen.next_version();
        seen.state.insert(key, (version, item["value"].clone()));
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn read(State(seen): Shared, Path(key): Path<String>) -> Response {
    let hangs = {
        let mut seen = seen.lock().unwrap();
        seen.hanging_reads += usize::from(seen.state_hangs);
        seen.state_hangs
    };
    if hangs {
        return pending().await;
    }
    match seen.lock().unwrap().state.get(&key) {
        Some((version, value)) => ([(ETAG, version.to_string())], Json(value.clone())).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn remove(State(seen): Shared, Path(key): Path<String>, headers: HeaderMap) -> StatusCode {
    let hangs = {
        let mut seen = seen.lock().unwrap();
        let current = seen.state.get(&key).map(|(version, _)| version.to_string());
        let expected = headers.get("if-match").map(|value| value.to_str().unwrap().to_owned());
        if expected.is_some() && expected != current {
            return StatusCode::CONFLICT;
        }
        seen.state.remove(&key);
        seen.removals_hang
    };
    if hangs {
        return pending().await;
    }
    StatusCode::NO_CONTENT
}

async fn invoke(
    State(seen): Shared,
    Path((app, method)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let (hangs, refused) = {
        let mut seen = seen.lock().unwrap();
        seen.calls.push((format!("{app}/{method}"), body));
        seen.call_ids.push(headers["todo-request-id"].to_str().unwrap().to_owned());
        (seen.invocations_hang, seen.next_invocation.take())
    };
    if hangs {
        return pending().await;
    }
    refused.map_or_else(
        || Json(json!({"status": "done"})).into_response(),
        |(status, body)| (status, Json(body)).into_response(),
    )
}

async fn set_job(State(seen): State<Arc<Mutex<Seen>>>, Path(name): Path<String>, Json(job): Json<Value>) -> StatusCode {
    seen.lock().unwrap().jobs.push((name, job));
    StatusCode::NO_CONTENT
}
