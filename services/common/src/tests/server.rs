use std::{
    future::IntoFuture,
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};
use tower::ServiceExt;

use crate::{
    auth,
    config::Settings,
    problem::Json,
    server::{self, Background},
    tasks::NewTask,
    testing::settings,
};

fn app() -> Router {
    async fn panics() {
        panic!("on purpose");
    }
    let for_dapr = auth::require_app_token(Router::new().route("/tick", post(|| async { "ticked" })), &settings());
    let routes = Router::new()
        .route("/tasks", post(|Json(new): Json<NewTask>| async move { Json(new) }))
        .route("/panic", get(panics));
    server::layered(routes.merge(for_dapr))
}

async fn ask(request: Request<Body>) -> (StatusCode, Value, String) {
    let response = app().oneshot(request).await.unwrap();
    let status = response.status();
    let media = response.headers().get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default(), media)
}

fn json(body: impl Into<Body>) -> Request<Body> {
    Request::post("/tasks").header("content-type", "application/json").body(body.into()).unwrap()
}

#[tokio::test]
async fn everything_that_goes_wrong_is_a_problem() {
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let untyped = Request::post("/tasks").body(Body::from(r#"{"title":"a"}"#)).unwrap();
    for (request, status, kind) in [
        (get("/nowhere"), 404, "not-found"),
        (get("/tasks"), 405, "method"),
        (json("{"), 400, "bad-request"),
        (json(r#"{"title": 1}"#), 422, "validation"),
        (json(r#"{"title": "a", "recurrence": {"every": "day"}}"#), 422, "validation"),
        (untyped, 415, "media-type"),
        (json(vec![b' '; server::BODY_LIMIT + 1]), 413, "too-large"),
        (get("/panic"), 500, "internal"),
        (Request::post("/tick").body(Body::empty()).unwrap(), 401, "unauthorized"),
    ] {
        let path = request.uri().clone();
        let (answered, body, media) = ask(request).await;
        assert_eq!((answered.as_u16(), media.as_str()), (status, "application/problem+json"), "{path} {body}");
        assert_eq!(body["type"], format!("urn:todoplatform:problem:{kind}"), "{path}");
        assert_eq!(body["status"], status, "{path}");
        assert!(!body["title"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn only_the_sidecar_may_call_the_routes_for_dapr() {
    for (token, status) in [("token", 200), ("tokem", 401), ("", 401), ("tokentoken", 401)] {
        let request = Request::post("/tick").header("dapr-api-token", token).body(Body::empty()).unwrap();
        assert_eq!(ask(request).await.0.as_u16(), status, "{token:?}");
    }
}

#[tokio::test]
async fn a_good_request_goes_through() {
    let (status, body, _) = ask(json(r#"{"title": "a", "user_id": "ada"}"#)).await;
    assert_eq!((status, &body["title"]), (StatusCode::OK, &Value::from("a")));
}

/// Sidecars send the head of a request and then its body, and the next request by the same connection.
#[tokio::test]
async fn a_refusal_that_looks_at_no_body_leaves_the_connection_to_the_next_request() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut line = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let service = tokio::spawn(axum::serve(listener, app()).into_future());
    for head in ["POST /panic HTTP/1.1", "POST /nowhere HTTP/1.1", "POST /tick HTTP/1.1"] {
        line.write_all(format!("{head}\r\nhost: a\r\ncontent-length: 2\r\n\r\n").as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        line.write_all(b"{}").await.expect(head);
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(line.read_buf(&mut answer).await.expect(head), 0, "closed after {head}");
        }
    }
    service.abort();
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_answers_what_it_has_begun_and_finishes_what_is_on_its_way_and_then_ends() {
    const LIMIT: Duration = Duration::from_secs(15);
    let settings = Settings { port: free_port(), management_port: free_port(), ..settings() };
    let url = format!("http://127.0.0.1:{}", settings.port);
    let (begun, may_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (begun, may_end) = (begun.clone(), may_end.clone());
        async move || {
            begun.add_permits(1);
            may_end.acquire().await.unwrap().forget();
            "done"
        }
    };
    let app = Router::new().route("/quick", get(async || "up")).route("/slow", get(slow));
    let background = Background::default();
    let delivery = {
        let (may_end, stop) = (may_end.clone(), background.stop.clone());
        async move {
            stop.cancelled().await;
            may_end.acquire().await.unwrap().forget();
        }
    };
    background.spawn("delivery", delivery);
    let stop = background.stop.clone();
    let mut service = tokio::spawn(async move { server::run(&settings, app, Router::new(), background).await });

    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let get = async |path: &str| client.get(format!("{url}{path}")).send().await?.text().await;
    timeout(LIMIT, async { while get("/quick").await.is_err() {} }).await.expect("it listens");
    let answer = get("/slow");
    let end = async {
        timeout(LIMIT, begun.acquire()).await.unwrap().unwrap().forget();
        stop.cancel();
        timeout(LIMIT, async { while get("/quick").await.is_ok() {} }).await.expect("nothing new is taken");
        assert!(!service.is_finished(), "an answer and a delivery are left");
        may_end.add_permits(1);
        may_end.add_permits(1);
        timeout(LIMIT, &mut service).await.expect("it ends").unwrap().unwrap();
    };
    let (answer, ()) = tokio::join!(answer, end);
    assert_eq!(answer.unwrap(), "done");
    assert_eq!(may_end.available_permits(), 0, "the delivery is finished");
}
