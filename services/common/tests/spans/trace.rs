//! The broker between relay and consumer is this test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, StatusCode},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use todo_common::{
    config::{Settings, Spans},
    consumer::{self, Consumer},
    dapr,
    database::Database,
    events::CloudEvent,
    outbox::{self, relay},
    problem::Problem,
    server,
    telemetry::spans,
    testing::{settings, with_database},
};
use todo_traces::testing::{Collector, Span, SpanKind, text_of as of};
use tower::ServiceExt;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// What a user writes.
const SECRET: &str = "buy a ring";

/// Writes an event for each event.
struct Echo;

#[derive(Deserialize)]
struct Text {
    text: String,
}

impl Consumer for Echo {
    const NAME: &'static str = "echo";
    const TOPIC: &'static str = "texts";
    const DEAD_LETTERS: &'static str = "texts-dead";
    const ROUTE: &'static str = "/texts";
    type Data = Text;
    type Outcome = ();

    async fn handle(connection: &mut PgConnection, events: &[&CloudEvent<Text>]) -> Result<Vec<()>, Problem> {
        for event in events {
            let entry = outbox::Entry {
                partition_key: event.data.text.clone(),
                payload: json!({}),
                traceparent: event.traceparent.clone(),
            };
            outbox::enqueue_all(connection, "echoes", &[entry]).await?;
        }
        Ok(vec![(); events.len()])
    }

    fn count(_event: &CloudEvent<Text>, _outcome: Option<&()>) {}
}

/// A call that a stand-in of the sidecar got: its trace and what it was to publish.
type Calls = Arc<Mutex<Vec<(String, Value)>>>;

async fn sidecar() -> (dapr::Client, Calls) {
    let calls = Calls::default();
    let take = async |State(calls): State<Calls>, headers: HeaderMap, Json(body): Json<Value>| {
        let trace = headers.get("traceparent").map_or("", |value| value.to_str().unwrap()).to_owned();
        calls.lock().unwrap().push((trace, body));
        StatusCode::NO_CONTENT
    };
    let routes = Router::new().fallback(take).with_state(Arc::clone(&calls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (dapr::Client::new(&url).unwrap(), calls)
}

/// A service with a route that writes an event.
fn service(pool: &PgPool, dapr: &dapr::Client) -> Router {
    let write = async |State(pool): State<PgPool>| {
        let mut connection = pool.acquire().await.unwrap();
        outbox::enqueue(&mut connection, "texts", "key", None, &json!({ "text": SECRET })).await.unwrap();
    };
    let routes = Router::new().route("/notes/{id}", post(write)).with_state(pool.clone());
    server::layered(routes.merge(consumer::router::<Echo>(Database::ready(pool.clone()), dapr.clone())))
}

async fn call(service: &Router, uri: &str, trace: Option<&str>, body: &Value) {
    let request = Request::post(uri).header("content-type", "application/json");
    let request = trace.into_iter().fold(request, |request, trace| request.header("traceparent", trace));
    let answer = service.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{uri}");
}

/// What the sidecar posts of an event that was published.
fn delivered(entry: &Value) -> Value {
    let event = json!({
        "specversion": "1.0", "id": entry["entryId"], "data": entry["event"],
        "traceparent": entry["metadata"]["cloudevent.traceparent"],
    });
    json!({"entries": [{"entryId": "0", "event": event, "metadata": {"__key": "key"}}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_event_and_what_the_consumer_makes_of_it_are_one_trace_without_a_users_words() {
    let collector = Collector::start().await.unwrap();
    let to = todo_traces::Collector { endpoint: collector.url.parse().unwrap(), sampling_rate: 0.0 };
    spans::start(&Settings { spans: Spans::To(to), ..settings() });
    with_database(|pool| async move {
        let (dapr, calls) = sidecar().await;
        let service = service(&pool, &dapr);
        let unseen = format!("00-5bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-00");
        call(&service, "/notes/8", Some(&unseen), &json!({})).await;
        call(&service, "/notes/9", None, &json!({})).await;
        // Of traces that nobody looks at, nothing is told but that nobody does.
        while relay::round(&pool, &dapr, 10).await.unwrap().published > 0 {}
        let flags = |(trace, body): &(String, Value)| {
            let told = body[0]["metadata"]["cloudevent.traceparent"].as_str().unwrap();
            (trace.is_empty(), told.ends_with("-00"))
        };
        assert_eq!(calls.lock().unwrap().iter().map(flags).collect::<Vec<_>>(), [(true, true); 2]);
        calls.lock().unwrap().clear();

        call(&service, "/notes/7", Some(&format!("00-{TRACE}-{CALLER}-01")), &json!({})).await;
        relay::round(&pool, &dapr, 10).await.unwrap();
        let (_, body) = calls.lock().unwrap()[0].clone();
        call(&service, Echo::ROUTE, None, &delivered(&body[0])).await;
        relay::round(&pool, &dapr, 10).await.unwrap();
        spans::end().await;

        let told = collector.spans();
        check(&told, &calls.lock().unwrap());
        let text = format!("{:?}", collector.messages());
        assert!(!text.contains(SECRET) && !text.contains("/notes/7"), "{text}");
        for field in ["service.name", "test-service", "service.namespace", "service.version", "service.instance.id"] {
            assert!(text.contains(field), "{field}");
        }
    })
    .await;
}

fn check(told: &[Span], calls: &[(String, Value)]) {
    let by_id: BTreeMap<_, _> = told.iter().map(|span| (hex(&span.span_id), span)).collect();
    let above = |span: &Span| by_id.get(&hex(&span.parent_span_id)).map_or("", |above| above.name.as_str());
    let mut seen: Vec<_> = told.iter().map(|span| (above(span), span.name.as_str(), span.kind())).collect();
    seen.sort_unstable();
    let mut wanted = [
        ("", "POST /notes/{id}", SpanKind::Server),
        ("POST /notes/{id}", "relay", SpanKind::Internal),
        ("relay", "publish", SpanKind::Producer),
        ("POST /notes/{id}", "process texts", SpanKind::Consumer),
        ("process texts", "relay", SpanKind::Internal),
        ("relay", "publish", SpanKind::Producer),
    ];
    wanted.sort_unstable();
    assert_eq!(seen, wanted);
    let named = |name: &str| told.iter().find(|span| span.name == name).unwrap();
    let server = named("POST /notes/{id}");
    assert!(told.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert_eq!(hex(&server.parent_span_id), CALLER);
    assert_eq!((of(server, "http.request.method"), of(server, "http.route")), ("POST", "/notes/{id}"));
    assert_eq!(of(named("process texts"), "todoplatform.verdict"), "handled");
    // The sidecar's spans are below those of what calls it.
    let published: Vec<_> = told.iter().filter(|span| span.name == "publish").collect();
    for (trace, body) in calls {
        let span = published.iter().find(|span| trace.contains(&hex(&span.span_id))).expect("a span of the call");
        let is_first = of(span, "messaging.destination.name") == "texts";
        let cause = if is_first { server } else { named("process texts") };
        let told = body[0]["metadata"]["cloudevent.traceparent"].as_str().unwrap();
        assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&cause.span_id)));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
