//! The other side of webhooks, on this machine: it answers as it is told and remembers what came.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    middleware::{self, Next},
    response::{AppendHeaders, IntoResponse},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use todo_common::database::Database;
use tokio::sync::Notify;

use super::{app_with, call};
use crate::{
    deliveries::dispatcher,
    senders::{
        Senders,
        address::{Outbound, Reach},
    },
    settings::Settings,
};

/// What came: path, `webhook-id` and body.
pub(super) type Received = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A receiver that answers with the number that stands last in the path.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) received: Received,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        Self::serve(|router| router).await
    }

    /// One that tells of each request, and answers it when it is told to.
    pub(super) async fn holding(begun: Arc<Notify>, answered: Arc<Notify>) -> Self {
        let hold = move |request: Request, next: Next| {
            let (begun, answered) = (begun.clone(), answered.clone());
            async move {
                begun.notify_one();
                answered.notified().await;
                next.run(request).await
            }
        };
        Self::serve(|router| router.layer(middleware::from_fn(hold))).await
    }

    async fn serve(layered: impl FnOnce(Router) -> Router) -> Self {
        let received = Received::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = layered(Router::new().fallback(take).with_state(received.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, received }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.received.lock().unwrap().iter().map(|(_, id, _)| id.clone()).collect()
    }
}

async fn take(State(received): State<Received>, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let id = headers.get("webhook-id").map(|id| id.to_str().unwrap().to_owned()).unwrap_or_default();
    received.lock().unwrap().push((uri.path().to_owned(), id, serde_json::from_slice(&body).unwrap_or_default()));
    let status = uri.path().rsplit('/').next().and_then(|last| last.parse().ok()).unwrap_or(200);
    let patience = (status == 429).then_some(("retry-after", "1800"));
    (StatusCode::from_u16(status).unwrap(), AppendHeaders([("location", "/redirected")].into_iter().chain(patience)))
}

/// A service whose users may point at this machine.
pub(super) struct Service {
    pub(super) pool: PgPool,
    pub(super) app: Router,
    pub(super) senders: Senders,
}

impl Service {
    pub(super) fn new(pool: &PgPool, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self {
            pool: pool.clone(),
            app: app_with(&Database::ready(pool.clone()), settings.clone()),
            senders: Senders::new(settings).unwrap(),
        }
    }

    /// With webhooks to this receiver.
    pub(super) fn with_webhooks(pool: &PgPool, receiver: &Receiver) -> Self {
        let outbound = Outbound { reach: Reach::Loopback, ports: vec![443, receiver.address.port()] };
        Self::new(pool, Settings { webhooks: Some(outbound), ..Settings::default() })
    }

    /// Sends what is due, until nothing is.
    pub(super) async fn deliver(&self) {
        let due = "SELECT count(*) FROM deliveries WHERE state = 'waiting' AND next_attempt_at <= now() AND claimed_until IS NULL";
        while sqlx::query_scalar::<_, i64>(due).fetch_one(&self.pool).await.unwrap() > 0 {
            dispatcher::round(&self.pool, &self.senders).await;
        }
    }

    /// Makes everything that waits due.
    pub(super) async fn let_time_pass(&self) {
        let now = "UPDATE deliveries SET next_attempt_at = now() WHERE state = 'waiting'";
        sqlx::query(now).execute(&self.pool).await.unwrap();
    }

    pub(super) async fn add(&self, channel: Value) -> Value {
        let (status, channel) = call(&self.app, "POST", "/api/notifications/channels?user_id=ada", channel).await;
        assert_eq!(status, 201, "{channel}");
        channel
    }

    pub(super) async fn add_webhook(&self, url: &str) -> Value {
        self.add(json!({"kind": "webhook", "url": url})).await
    }

    pub(super) async fn notify(&self, method: &str) -> Value {
        let body = json!({"user_id": "ada", "title": "Milk", "message": "Buy it", "method": method});
        let (status, sent) = call(&self.app, "POST", "/send-notification", body).await;
        assert_eq!(status, 200, "{sent}");
        sent
    }

    pub(super) async fn channel(&self, channel: &Value) -> Value {
        let path = format!("/api/notifications/channels/{}?user_id=ada", channel["id"].as_str().unwrap());
        call(&self.app, "GET", &path, Value::Null).await.1
    }

    pub(super) async fn deliveries(&self) -> Vec<Value> {
        let (status, page) = call(&self.app, "GET", "/api/notifications/deliveries?user_id=ada", Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    }
}
