//! A platform whose passes panic, beside one whose passes do not, on an API server that is a function.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::http::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::*;
use crate::runtime::telemetry::tests::{Captured, Line};

const LOOK: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(20);

/// Two suspended platforms, in the namespaces `poisoned` and `well`, and nothing else.
#[derive(Default)]
struct Server {
    /// Whether a read of Secrets in `poisoned` panics.
    is_poisonous: AtomicBool,
    panics: AtomicUsize,
    /// Reasons of `Ready`, with the namespace, as they were written.
    told: Mutex<Vec<(String, String)>>,
}

impl Server {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let namespace =
            path.split_once("/namespaces/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
        if query.contains("watch=") {
            pending::<()>().await;
        }
        if path.contains("/secrets/") {
            self.read_secret(namespace).await;
        }
        let (status, body) = if request.method() == "PATCH" {
            let body = request.into_body().collect_bytes().await.unwrap();
            (StatusCode::OK, self.take_in(namespace, &serde_json::from_slice(&body).unwrap()))
        } else if query.is_empty() {
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
            (StatusCode::NOT_FOUND, status)
        } else {
            let items =
                if path.ends_with("/todoplatforms") { ["poisoned", "well"].map(platform).to_vec() } else { Vec::new() };
            let metadata = json!({"resourceVersion": "2"});
            (StatusCode::OK, json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
        };
        let mut response = Response::new(Body::from(body.to_string().into_bytes()));
        *response.status_mut() = status;
        Ok(response)
    }

    /// The other pass goes on after one has panicked.
    async fn read_secret(&self, namespace: &str) {
        if namespace == "poisoned" && self.is_poisonous.load(Ordering::Acquire) {
            self.panics.fetch_add(1, Ordering::AcqRel);
            panic!("as a test wants it");
        }
        while self.panics.load(Ordering::Acquire) == 0 {
            sleep(LOOK).await;
        }
    }

    fn take_in(&self, namespace: &str, patch: &Value) -> Value {
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
        self.told.lock().unwrap().push((namespace.to_owned(), ready["reason"].as_str().unwrap().to_owned()));
        let mut platform = platform(namespace);
        platform["metadata"]["resourceVersion"] = "7".into();
        platform
    }

    /// What was last told of a platform.
    fn told(&self, namespace: &str) -> Option<String> {
        let told = self.told.lock().unwrap();
        told.iter().rev().find(|(of, _)| of == namespace).map(|(_, reason)| reason.clone())
    }
}

fn platform(namespace: &str) -> Value {
    json!({
        "apiVersion": "todoplatform.dev/v1alpha1",
        "kind": "TodoPlatform",
        "metadata": {"name": "todo", "namespace": namespace, "uid": namespace, "generation": 1, "resourceVersion": "2"},
        "spec": {"suspend": true},
    })
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waited = timeout(LIMIT, async {
        while !is_so().await {
            sleep(LOOK).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

#[tokio::test]
async fn a_platform_whose_pass_panics_says_so_and_heals_by_itself_and_another_goes_on() {
    let (log, _guard) = Captured::start();
    let server = Arc::new(Server { is_poisonous: AtomicBool::new(true), ..Server::default() });
    let answers = Arc::clone(&server);
    let service = tower::service_fn(move |request| Arc::clone(&answers).answer(request));
    let client = Client::new(service, "default");
    let (events, _publishing) = Events::start(client.clone(), "test".to_owned());
    let parts = Parts {
        events,
        client,
        http: Http::new().unwrap(),
        settings: Settings::default(),
        scope: Scope::default(),
        relist: Duration::from_mins(30),
        leadership: Leadership::for_an_hour(),
    };
    let stop = CancellationToken::new();
    let operator = Operator::start(parts, &stop);
    let context = Arc::clone(&operator.context);
    let runs = tokio::spawn(operator.run(stop.clone()));

    until("the one is told to have ended", async || server.told("poisoned").as_deref() == Some("InternalError")).await;
    until("the other is told of as ever", async || server.told("well").is_some_and(|reason| reason != "InternalError"))
        .await;
    let waits = async || {
        let memory = context.memories.of("poisoned", HashSet::new);
        memory.lock().await.backoff.is_waiting(Some(1), Instant::now())
    };
    until("the one waits for its next try", &waits).await;
    server.is_poisonous.store(false, Ordering::Release);
    until("the one has healed", async || server.told("poisoned") == server.told("well")).await;
    until("its waits begin anew", async || !waits().await).await;
    stop.cancel();
    runs.await.unwrap();
    let lines = log.lines();
    let failed = lines.iter().find(|line| line.message == "a pass failed").unwrap();
    assert_eq!((failed.level.as_str(), &failed.fields["class"]), ("ERROR", &json!("InternalError")));
    let told = |line: &&Line| line.message == "changed" && line.fields["reason"] == "InternalError";
    assert_eq!(lines.iter().find(told).unwrap().fields["namespace"], "poisoned");
}
