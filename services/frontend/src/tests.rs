//! The whole router against a sidecar on loopback that tells what it was asked.

use std::{fs, net::SocketAddr, path::PathBuf};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::StreamExt;
use serde_json::{Value, json};
use todo_common::{
    Sensitive,
    config::{AuthMode, Settings, Spans},
    dapr, server,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::{forward::Forwarder, hosts::Hosts, page::Page, router};

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("todo-frontend-{}", Uuid::new_v4())));
        for (name, content) in files {
            let path = folder.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn page() -> Page {
    let folder = Folder::new(&[("index.html", "<title>Todo</title>"), ("main.js", "start()"), (".hidden", "secret")]);
    Page::load(&folder.0).unwrap()
}

fn settings(sidecar: SocketAddr) -> Settings {
    Settings {
        service: "frontend-service",
        port: 0,
        management_port: 0,
        dapr_http: format!("http://{sidecar}"),
        app_token: Some(Sensitive::new("token of the app".to_owned())),
        namespace: "default".to_owned(),
        platform_name: "todo".to_owned(),
        platform_uid: String::new(),
        pod_name: "frontend-0".to_owned(),
        database_secret: None,
        database_url: None,
        auth_mode: AuthMode::Disabled,
        spans: Spans::None,
    }
}

/// The frontend with its sidecar at this address.
fn frontend_at(sidecar: SocketAddr, stop: &CancellationToken) -> Router {
    let settings = settings(sidecar);
    let client = dapr::Client::new(&settings.dapr_http).unwrap();
    let forwarder = Forwarder::new(&settings.dapr_http, client, stop.clone()).unwrap();
    let hosts = Hosts::new(settings.service, &settings.namespace, "todo.example".parse().unwrap());
    server::layered(router::build(&settings, hosts, page(), forwarder))
}

/// The frontend with a sidecar of this version, which answers every call by `app`.
async fn frontend(version: &'static str, app: Router) -> Router {
    let metadata = get(move || async move { axum::Json(json!({"id": "frontend-service", "runtimeVersion": version})) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app.route("/v1.0/metadata", metadata)).into_future());
    frontend_at(address, &CancellationToken::new())
}

/// A service that says what it was asked.
fn echo() -> Router {
    Router::new().fallback(async |request: Request| {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let headers: Value =
            parts.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
        axum::Json(json!({
            "method": parts.method.as_str(),
            "url": parts.uri.to_string(),
            "headers": headers,
            "body": String::from_utf8_lossy(&body),
        }))
    })
}

/// A service that always answers with this status, type and body.
fn always(status: StatusCode, content_type: &'static str, body: &'static str) -> Router {
    Router::new().fallback(async move || (status, [(header::CONTENT_TYPE, content_type)], body))
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
    let request = Request::builder().method(method).uri(path);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(body.into()).unwrap()
}

async fn ask(app: &Router, path: &str) -> Response {
    app.clone().oneshot(request(Method::GET, path, &[], Body::empty())).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

#[tokio::test]
async fn an_answer_with_nothing_in_it_is_not_taken_for_a_success() {
    let app = frontend("1.16.0", Router::new().fallback(async || StatusCode::OK)).await;
    let answer = ask(&app, "/api/tasks").await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(json_of(answer).await["type"], "urn:todoplatform:problem:bad-gateway");
    // Of what is gone there is nothing to say.
    let app = frontend("1.16.0", Router::new().fallback(async || StatusCode::NO_CONTENT)).await;
    assert_eq!(ask(&app, "/api/tasks").await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn every_path_goes_to_its_service() {
    let app = frontend("1.16.0", echo()).await;
    for (path, expected) in [
        ("/api/tasks?user_id=ada&status=open", "/v1.0/invoke/backend-service/method/api/tasks?user_id=ada&status=open"),
        ("/api/tasks/42/complete", "/v1.0/invoke/backend-service/method/api/tasks/42/complete"),
        ("/api/notification", "/v1.0/invoke/backend-service/method/api/notification"),
        ("/api/conversations/a%20b", "/v1.0/invoke/backend-service/method/api/conversations/a%20b"),
        ("/mcp", "/v1.0/invoke/backend-service/method/mcp"),
        ("/api/notifications?user_id=ada", "/v1.0/invoke/notification-service/method/api/notifications?user_id=ada"),
        ("/api/notifications/7/read", "/v1.0/invoke/notification-service/method/api/notifications/7/read"),
    ] {
        assert_eq!(json_of(ask(&app, path).await).await["url"], expected, "{path}");
    }
}

#[tokio::test]
async fn what_another_page_has_a_browser_send_changes_nothing() {
    let app = frontend("1.16.0", echo()).await;
    for (method, path, host, origin, expected) in [
        (Method::POST, "/mcp", "todo.example", "https://todo.example", 200),
        (Method::POST, "/mcp", "todo.example", "https://evil.example", 403),
        (Method::GET, "/mcp", "todo.example", "https://evil.example", 403),
        (Method::POST, "/api/tasks", "localhost:8080", "http://localhost:8080", 200),
        (Method::POST, "/api/tasks", "Todo.Example", "https://todo.example", 200),
        (Method::POST, "/api/tasks", "localhost:8080", "http://localhost:3000", 403),
        (Method::POST, "/api/tasks", "todo.example", "null", 403),
        (Method::POST, "/api/tasks", "todo.example", "https://todo.example.evil.example", 403),
        (Method::DELETE, "/api/notifications/channels/7", "todo.example", "https://evil.example", 403),
        (Method::PATCH, "/api/tasks/7", "todo.example", "https://evil.example", 403),
        // What only reads is refused by browsers themselves: no answer allows other origins.
        (Method::GET, "/api/tasks", "todo.example", "https://evil.example", 200),
    ] {
        let headers = [("host", host), ("origin", origin)];
        let answer = app.clone().oneshot(request(method.clone(), path, &headers, Body::empty())).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{method} {path} of {host} from {origin}");
        if expected == 403 {
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
    }
    let of_no_page = request(Method::POST, "/mcp", &[("host", "todo.example")], Body::empty());
    assert_eq!(app.oneshot(of_no_page).await.unwrap().status(), StatusCode::OK);
}

/// To a browser such a page is of one origin with ours.
#[tokio::test]
async fn a_page_whose_name_was_made_to_lead_here_reads_and_changes_nothing() {
    let app = frontend("1.16.0", echo()).await;
    let ask = async |path, host: &str| {
        let headers = [("host", host), ("origin", &format!("http://{host}"))];
        app.clone().oneshot(request(Method::GET, path, &headers, Body::empty())).await.unwrap()
    };
    for path in ["/api/tasks?user_id=ada", "/api/events", "/api/notifications", "/mcp"] {
        let answer = ask(path, "evil.example:8088").await;
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert!(json_of(answer).await["detail"].as_str().unwrap().contains("ALLOWED_HOSTS"), "{path}");
    }
    for host in ["127.0.0.1:8088", "frontend-service.default.svc", "todo.example"] {
        assert_eq!(ask("/api/tasks", host).await.status(), StatusCode::OK, "{host}");
    }
    assert_eq!(ask("/", "evil.example").await.status(), StatusCode::OK, "what checks health by some name is answered");
}

#[tokio::test]
async fn a_request_arrives_with_its_method_body_and_trace_and_without_words_to_the_sidecar() {
    let app = frontend("1.16.0", echo()).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", trace),
        ("dapr-api-token", "guessed"),
        ("dapr-app-id", "recurring-task-service"),
        ("connection", "x-only-here"),
        ("x-only-here", "1"),
    ];
    let sent = request(Method::PUT, "/api/tasks/42", &headers, r#"{"title":"x"}"#);
    let seen = json_of(app.oneshot(sent).await.unwrap()).await;
    assert_eq!((&seen["method"], &seen["body"]), (&json!("PUT"), &json!(r#"{"title":"x"}"#)));
    assert_eq!(seen["headers"]["traceparent"], trace);
    for dropped in ["dapr-api-token", "dapr-app-id", "x-only-here"] {
        assert_eq!(seen["headers"][dropped], Value::Null, "{dropped}");
    }
}

#[tokio::test]
async fn a_method_that_a_sidecar_would_make_another_of_is_refused() {
    let app = frontend("1.16.0", echo()).await;
    for name in ["QUERY", "PROPFIND", "post"] {
        let sent = request(name.parse().unwrap(), "/api/tasks/import", &[("content-type", "application/json")], "{}");
        let answer = app.clone().oneshot(sent).await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{name}");
        assert!(answer.headers()["allow"].to_str().unwrap().starts_with("GET, HEAD, POST"));
        assert_eq!(json_of(answer).await["type"], "urn:todoplatform:problem:method");
    }
}

#[tokio::test]
async fn each_request_that_may_change_something_has_an_id_that_no_other_has() {
    let app = frontend("1.16.0", echo()).await;
    let guessed = Uuid::new_v4().to_string();
    let headers = [("todo-request-id", guessed.as_str()), ("idempotency-key", "mine")];
    let seen = async |method: Method, path| {
        json_of(app.clone().oneshot(request(method, path, &headers, "{}")).await.unwrap()).await["headers"].clone()
    };
    let mut ids = vec![guessed.clone()];
    for (method, path) in [
        (Method::POST, "/api/tasks"),
        (Method::POST, "/api/tasks"),
        (Method::PATCH, "/api/tasks/42"),
        (Method::PUT, "/api/tasks/42"),
        (Method::DELETE, "/api/tasks/42"),
        (Method::POST, "/mcp"),
        (Method::POST, "/api/notifications/channels"),
    ] {
        let seen = seen(method.clone(), path).await;
        let id = seen["todo-request-id"].as_str().unwrap_or_else(|| panic!("{method} {path}: {seen}"));
        assert!(Uuid::parse_str(id).is_ok() && !ids.iter().any(|other| other == id), "{method} {path}: {id}");
        ids.push(id.to_owned());
        assert_eq!(seen["idempotency-key"], "mine");
    }
    assert_eq!(seen(Method::GET, "/api/tasks").await["todo-request-id"], Value::Null);
}

#[tokio::test]
async fn no_path_leads_out_of_the_api() {
    let app = frontend("1.16.0", echo()).await;
    for path in ["/api/../reminder-cron", "/api/%2e%2e/reminder-cron", "/api/..%2freminder-cron", "/api//tasks"] {
        assert_eq!(ask(&app, path).await.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    for path in
        ["/reminder-cron", "/send-notification", "/mcp/x", "/api", "/v1.0/metadata", "/../Cargo.toml", "/.hidden"]
    {
        assert_eq!(ask(&app, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_services_refusal_is_passed_on_as_it_is() {
    let body = r#"{"type":"urn:todoplatform:problem:validation","status":422,"detail":"title is empty"}"#;
    let app = frontend("1.16.0", always(StatusCode::UNPROCESSABLE_ENTITY, "application/problem+json", body)).await;
    let response = ask(&app, "/api/tasks").await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(text(response).await, body);
}

#[tokio::test]
async fn a_service_that_the_sidecar_cannot_reach_is_a_problem_with_its_name() {
    let body = r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke"}"#;
    let app = frontend("1.16.0", always(StatusCode::INTERNAL_SERVER_ERROR, "application/json", body)).await;
    let response = ask(&app, "/api/notifications").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(json_of(response).await["detail"].as_str().unwrap().contains("notification-service"));
}

#[tokio::test]
async fn a_dead_sidecar_is_a_problem_with_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let app = frontend_at(nobody, &CancellationToken::new());
    for path in ["/api/tasks", "/api/events", "/mcp"] {
        let response = ask(&app, path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert!(json_of(response).await["detail"].as_str().unwrap().contains("sidecar"), "{path}");
    }
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_refused() {
    let app = frontend("1.16.0", echo()).await;
    for (size, status) in [(1024 * 1024, StatusCode::OK), (1024 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE)] {
        let sent = request(Method::POST, "/api/tasks", &[], "x".repeat(size));
        assert_eq!(app.clone().oneshot(sent).await.unwrap().status(), status, "{size}");
    }
}

#[tokio::test]
async fn bodies_that_do_not_come_leave_no_place_for_more_but_what_has_no_body_is_passed_on() {
    let app = frontend("1.16.0", echo()).await;
    let post = |body| app.clone().oneshot(request(Method::POST, "/api/tasks", &[], body));
    let pending = || Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>());
    for _ in 0..32 {
        tokio::spawn(post(pending()));
    }
    // As soon as all of them have begun.
    while post(Body::from("{}")).await.unwrap().status() != StatusCode::SERVICE_UNAVAILABLE {}
    assert_eq!(ask(&app, "/api/tasks?user_id=ada").await.status(), StatusCode::OK);
}

/// A stream with one event that does not end.
fn endless() -> Router {
    Router::new().fallback(async || {
        let events = futures::stream::iter([Ok::<_, std::io::Error>("event: ready\ndata: {}\n\n")]);
        let body = Body::from_stream(events.chain(futures::stream::pending()));
        ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
    })
}

#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let app = frontend("1.17.0", endless()).await;
    let response = ask(&app, "/api/events?user_id=ada").await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let first = response.into_body().into_data_stream().next().await.unwrap().unwrap();
    assert_eq!(first, "event: ready\ndata: {}\n\n");
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metadata = get(|| async { axum::Json(json!({"runtimeVersion": "1.17.0"})) });
    tokio::spawn(axum::serve(listener, endless().route("/v1.0/metadata", metadata)).into_future());
    let stop = CancellationToken::new();
    let response = ask(&frontend_at(address, &stop), "/api/events").await;
    stop.cancel();
    // Ends; without the stop this would wait for ever.
    text(response).await;
}

#[tokio::test]
async fn a_sidecar_that_keeps_streams_until_they_end_is_asked_for_one_that_ends_with_its_first_event() {
    for (version, wish) in [("1.16.0", "&once=true"), ("1.17.0", "")] {
        let app = frontend(version, echo()).await;
        let seen = json_of(ask(&app, "/api/events?user_id=ada").await).await;
        assert_eq!(
            seen["url"],
            format!("/v1.0/invoke/backend-service/method/api/events?user_id=ada{wish}"),
            "{version}"
        );
    }
    let app = frontend("1.16.0", echo()).await;
    let seen = json_of(ask(&app, "/api/events?once=false&once=what").await).await;
    let url = "/v1.0/invoke/backend-service/method/api/events?once=what&once=true";
    assert_eq!(seen["url"], url, "what is wrong stays wrong, for the service to say so");
}

#[tokio::test]
async fn the_page_is_served_with_its_type_and_a_strict_policy() {
    let app = frontend("1.16.0", echo()).await;
    for (path, content_type, content) in [
        ("/", "text/html; charset=utf-8", "<title>Todo</title>"),
        ("/index.html", "text/html; charset=utf-8", "<title>Todo</title>"),
        ("/main.js", "text/javascript; charset=utf-8", "start()"),
    ] {
        let response = ask(&app, path).await;
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], content_type);
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(text(response).await, content);
    }
}

#[tokio::test]
async fn a_browser_that_has_the_file_is_not_sent_it_again() {
    let app = frontend("1.16.0", echo()).await;
    let etag = ask(&app, "/main.js").await.headers()[header::ETAG].to_str().unwrap().to_owned();
    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}")] {
        let again = request(Method::GET, "/main.js", &[("if-none-match", &known)], Body::empty());
        assert_eq!(app.clone().oneshot(again).await.unwrap().status(), StatusCode::NOT_MODIFIED, "{known}");
    }
    let other = request(Method::GET, "/", &[("if-none-match", &etag)], Body::empty());
    assert_eq!(app.oneshot(other).await.unwrap().status(), StatusCode::OK);
}

#[test]
fn a_folder_without_a_page_is_an_error_at_start() {
    let folder = Folder::new(&[("other.html", "")]);
    assert!(Page::load(&folder.0).unwrap_err().to_string().contains("index.html"));
}

#[tokio::test]
async fn only_the_sidecar_asks_for_subscriptions_and_there_are_none() {
    let app = frontend("1.16.0", echo()).await;
    assert_eq!(ask(&app, "/dapr/subscribe").await.status(), StatusCode::UNAUTHORIZED);
    let token = [("dapr-api-token", "token of the app")];
    for (path, expected) in [("/dapr/subscribe", json!([])), ("/dapr/config", json!({}))] {
        let asked = request(Method::GET, path, &token, Body::empty());
        assert_eq!(json_of(app.clone().oneshot(asked).await.unwrap()).await, expected);
    }
}
