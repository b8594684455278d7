//! A backend with a database of its own.

use std::{env, panic::resume_unwind, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header::CONTENT_TYPE},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use todo_common::{
    Sensitive,
    config::{AuthMode, Settings, Spans},
    dapr,
    database::{self, Database},
    server,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use super::sidecar::Sidecar;
use crate::{app::App, routes};

/// What the sidecar of the tests shows.
pub(super) const TOKEN: &str = "token-of-the-tests";

/// A backend under test.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(super) app: App,
    pub(crate) pool: PgPool,
    pub(super) sidecar: Sidecar,
    router: Router,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// Longest wait for what happens by itself.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until it is so.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, wait).await.is_ok(), "not within {}s: {what}", LIMIT.as_secs());
}

/// Runs `test` with a backend whose database is dropped afterwards, also after a failure.
pub(crate) async fn with_backend<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Backend) -> F) {
    let url = env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is not set: run `cargo xtask test unit`");
    let name = format!("todo_backend_{}", Uuid::new_v4().simple());
    let mut server = PgConnection::connect(&url).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut server).await.unwrap();
    let options = server_options(&url).database(&name);
    let pool = PgPoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
    database::migrate(&pool).await.unwrap();
    let result = tokio::spawn(test(backend(pool.clone()).await)).await;
    pool.close().await;
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut server).await.unwrap();
    if let Err(error) = result {
        resume_unwind(error.into_panic());
    }
}

fn server_options(url: &str) -> sqlx::postgres::PgConnectOptions {
    url.parse().expect("TEST_DATABASE_URL is a postgres:// URL")
}

async fn backend(pool: PgPool) -> Backend {
    let sidecar = Sidecar::start().await;
    let dapr = dapr::Client::new(&sidecar.endpoint).unwrap();
    let database = Database::ready(pool.clone());
    let app = App::new(database, dapr, Duration::from_mins(5), CancellationToken::new());
    let router = server::layered(routes::router(app.clone(), &settings()));
    Backend { app, pool, sidecar, router }
}

fn settings() -> Settings {
    Settings {
        service: "backend-service",
        port: 0,
        management_port: 0,
        dapr_http: String::new(),
        app_token: Some(Sensitive::new(TOKEN)),
        namespace: "default".into(),
        platform_name: "todo".into(),
        platform_uid: "1".into(),
        pod_name: "backend-0".into(),
        database_secret: None,
        database_url: None,
        auth_mode: AuthMode::Disabled,
        spans: Spans::None,
    }
}

impl Backend {
    /// A request without special headers.
    pub(super) async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send_with(method, path, &[], body).await
    }

    /// A request; `Value::Null` sends no body.
    pub(super) async fn send_with(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        self.request(request.body(body).unwrap()).await
    }

    /// Any request.
    pub(super) async fn request(&self, request: Request<Body>) -> Answer {
        let response = self.open(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, headers, body }
    }

    /// A request whose answer is read by the caller.
    pub(super) async fn open(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Value::Null).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    /// The text of an answer.
    pub(super) async fn text(&self, path: &str) -> String {
        let response = self.open(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    /// All its routes.
    pub(super) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Creates a task and gives its id.
    pub(super) async fn create(&self, task: Value) -> String {
        let answer = self.post("/api/tasks", task).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}
