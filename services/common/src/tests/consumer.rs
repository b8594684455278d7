//! Batches as the sidecar posts them, with a real database; the sidecar that takes dead letters is a stand-in.

use std::{
    future::pending,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, StatusCode, Uri},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use tower::ServiceExt;

use super::count;
use crate::{
    consumer::{self, Consumer, Limits},
    dapr,
    database::Database,
    events::CloudEvent,
    problem::Problem,
    server,
    testing::with_database,
};

/// Writes each event's text as a row of the table `written`, which does not take `bad`. It panics over `panic`, and neither `hang` nor
/// `sleep`, which the database does, has an end.
pub(super) struct Writer;

#[derive(Deserialize)]
pub(super) struct Text {
    text: String,
}

impl Consumer for Writer {
    const NAME: &'static str = "writer";
    const TOPIC: &'static str = "texts";
    const DEAD_LETTERS: &'static str = "texts-dead";
    const ROUTE: &'static str = "/texts";
    type Data = Text;
    type Outcome = ();

    async fn handle(connection: &mut PgConnection, events: &[&CloudEvent<Text>]) -> Result<Vec<()>, Problem> {
        let texts: Vec<&str> = events.iter().map(|event| event.data.text.as_str()).collect();
        let wants = |what| texts.contains(&what);
        let (panics, hangs, sleeps) = (wants("panic"), wants("hang"), wants("sleep"));
        sqlx::query("INSERT INTO written (text) SELECT unnest($1::text[])")
            .bind(texts)
            .execute(&mut *connection)
            .await?;
        assert!(!panics, "over a text");
        if sleeps {
            sqlx::query("SELECT pg_sleep(60)").execute(connection).await?;
        }
        if hangs {
            pending::<()>().await;
        }
        Ok(vec![(); events.len()])
    }

    fn count(_event: &CloudEvent<Text>, _outcome: Option<&()>) {}
}

/// The same with less patience.
pub(super) struct Hasty;

impl Consumer for Hasty {
    const NAME: &'static str = Writer::NAME;
    const TOPIC: &'static str = Writer::TOPIC;
    const DEAD_LETTERS: &'static str = Writer::DEAD_LETTERS;
    const ROUTE: &'static str = Writer::ROUTE;
    const LIMITS: Limits = Limits {
        alone: Duration::from_secs(1),
        together: Duration::from_millis(1600),
        statement: Duration::from_millis(1200),
        call: Duration::from_mins(1),
    };
    type Data = Text;
    type Outcome = ();

    async fn handle(connection: &mut PgConnection, events: &[&CloudEvent<Text>]) -> Result<Vec<()>, Problem> {
        Writer::handle(connection, events).await
    }

    fn count(_event: &CloudEvent<Text>, _outcome: Option<&()>) {}
}

/// What the stand-in got: its path, content type and body.
type Published = Arc<Mutex<Vec<(String, String, Value)>>>;

async fn sidecar(status: StatusCode) -> (dapr::Client, Published) {
    let published = Published::default();
    let take = async move |State(log): State<Published>, uri: Uri, headers: HeaderMap, body: Bytes| {
        let content_type = headers["content-type"].to_str().unwrap().to_owned();
        log.lock().unwrap().push((uri.to_string(), content_type, serde_json::from_slice(&body).unwrap()));
        status
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(take).with_state(published.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (dapr::Client::new(&format!("http://{address}")).unwrap(), published)
}

fn event(id: &str, text: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "data": {"text": text}})
}

fn batch(events: &[Value]) -> Value {
    let entries = events.iter().enumerate().map(|(number, event)| {
        json!({"entryId": number.to_string(), "event": event, "metadata": {"__key": format!("key-{number}")}})
    });
    json!({"id": "b1", "type": "com.dapr.event.sent.bulk", "entries": entries.collect::<Vec<_>>()})
}

async fn post(database: &Database, dapr: &dapr::Client, body: &Value) -> Value {
    post_to::<Writer>(database, dapr, body).await
}

async fn post_to<C: Consumer>(database: &Database, dapr: &dapr::Client, body: &Value) -> Value {
    let app = server::layered(consumer::router::<C>(database.clone(), dapr.clone()));
    let request = Request::post("/texts").body(Body::from(body.to_string())).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn statuses(words: &[&str]) -> Value {
    let statuses = words.iter().enumerate().map(|(id, word)| json!({"entryId": id.to_string(), "status": word}));
    json!({"statuses": statuses.collect::<Vec<_>>()})
}

pub(super) async fn written(database: &Database) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM written ORDER BY n").fetch_all(&database.pool().unwrap()).await.unwrap()
}

pub(super) async fn writer(pool: &PgPool) -> Database {
    for table in [
        "CREATE TABLE written (n bigint GENERATED ALWAYS AS IDENTITY, text text CHECK (text <> 'bad'))",
        "CREATE TABLE known AS SELECT 'known' AS text",
        "ALTER TABLE known ADD PRIMARY KEY (text)",
    ] {
        sqlx::query(table).execute(pool).await.unwrap();
    }
    Database::ready(pool.clone())
}

/// All that the operator makes for a spec without a word.
const OBJECTS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../operator/tests/golden/snapshots/golden__objects__an_empty_spec_gives_exactly_these_objects.snap"
));

#[test]
fn the_sidecar_waits_for_longer_than_the_effects_of_a_batch_may_take() {
    let timeout =
        OBJECTS.lines().find_map(|line| line.trim().strip_prefix("delivery: ")?.strip_suffix('s')?.parse().ok());
    let timeout = Duration::from_secs(timeout.expect("the Resiliency has a timeout for deliveries, in seconds"));
    // An event is begun at the last moment. What is left is for the statements around.
    let longest = Limits::USUAL.call + Limits::USUAL.alone;
    assert!(longest + Duration::from_secs(5) <= timeout, "{longest:?} of {timeout:?}");
}

#[tokio::test]
async fn a_batch_takes_effect_once_however_often_and_in_whichever_company_its_events_come() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
        let first = batch(&[event("e1", "a"), event("e2", "b"), event("e1", "a")]);
        let second = batch(&[event("e2", "b"), event("e3", "c")]);
        assert_eq!(post(&database, &dapr, &first).await, statuses(&["SUCCESS"; 3]));
        assert_eq!(post(&database, &dapr, &second).await, statuses(&["SUCCESS"; 2]));
        assert_eq!(post(&database, &dapr, &event("e3", "c")).await, json!({"status": "SUCCESS"}));
        assert_eq!(written(&database).await, ["a", "b", "c"]);
        assert_eq!(count(&pool, "inbox").await, 3);
        assert!(published.lock().unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_handled_goes_to_the_dead_letter_topic_and_spoils_nothing_else() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
        let unreadable = json!({"specversion": "1.0", "id": "e3", "data": {"text": 7}});
        let events = [event("e1", "a"), event("e2", "bad"), unreadable.clone(), json!({"n": 7}), event("e5", "b")];
        assert_eq!(post(&database, &dapr, &batch(&events)).await, statuses(&["SUCCESS"; 5]));
        assert_eq!(written(&database).await, ["a", "b"]);
        assert_eq!(count(&pool, "inbox").await, 2, "what was not handled is not marked");
        let mut published = published.lock().unwrap().clone();
        published.sort_by(|one, other| one.0.cmp(&other.0));
        let dead = |key: u8, content_type: &str, event: &Value| {
            let path = format!("/v1.0/publish/kafka-pubsub/texts-dead?metadata.partitionKey=key-{key}");
            (path, content_type.to_owned(), event.clone())
        };
        let envelope = "application/cloudevents+json";
        // In an envelope of Dapr's it would have another id, and another one at each try.
        let (raw, ..) = dead(3, "", &Value::Null);
        let raw = (format!("{raw}&metadata.rawPayload=true"), "application/json".to_owned(), events[3].clone());
        let expected = [dead(1, envelope, &events[1]), dead(2, envelope, &unreadable), raw];
        assert_eq!(published, expected);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_no_header_can_have_keeps_no_dead_letter_from_being_delivered() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
        let mut batch = batch(&[event("e1", "bad")]);
        batch["entries"][0]["metadata"]["__key"] = json!("\u{0}\u{7}");
        assert_eq!(post(&database, &dapr, &batch).await, statuses(&["SUCCESS"]));
        let (path, ..) = published.lock().unwrap().remove(0);
        assert_eq!(path, "/v1.0/publish/kafka-pubsub/texts-dead?metadata.partitionKey=");
    })
    .await;
}

#[tokio::test]
async fn an_event_whose_commit_fails_is_not_acknowledged() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
        // Looked at by the commit and not before.
        let known = "ALTER TABLE written ADD FOREIGN KEY (text) REFERENCES known DEFERRABLE INITIALLY DEFERRED";
        sqlx::query(known).execute(&pool).await.unwrap();
        let events = [event("e1", "unknown"), event("e2", "known")];
        post(&database, &dapr, &batch(&events)).await;
        assert_eq!(written(&database).await, ["known"]);
        assert_eq!(published.lock().unwrap().len(), 1, "the other one is a dead letter");
        assert_eq!(post(&database, &dapr, &events[0]).await, json!({"status": "DROP"}));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_handled_is_kept_by_the_broker_until_the_dead_letter_topic_takes_it() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, _) = sidecar(StatusCode::INTERNAL_SERVER_ERROR).await;
        let events = batch(&[event("e1", "bad"), event("e2", "a")]);
        assert_eq!(post(&database, &dapr, &events).await, statuses(&["RETRY", "SUCCESS"]));
    })
    .await;
}

#[tokio::test]
async fn an_event_over_which_the_program_panics_is_a_dead_letter_and_spoils_nothing_else() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
        let events = [event("e1", "a"), event("e2", "panic"), event("e3", "b")];
        assert_eq!(post(&database, &dapr, &batch(&events)).await, statuses(&["SUCCESS"; 3]));
        assert_eq!(written(&database).await, ["a", "b"]);
        assert_eq!(count(&pool, "inbox").await, 2);
        let dead: Vec<Value> = published.lock().unwrap().iter().map(|(_, _, event)| event.clone()).collect();
        assert_eq!(dead, [events[1].clone()]);
        assert_eq!(post(&database, &dapr, &events[1]).await, json!({"status": "DROP"}));
    })
    .await;
}

#[tokio::test]
async fn an_event_that_takes_too_long_holds_up_those_of_its_key_alone() {
    let holds_up = |long: &'static str| {
        with_database(move |pool| async move {
            let database = writer(&pool).await;
            let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
            let mut batch = batch(&[event("e1", "a"), event("e2", long), event("e3", "b"), event("e4", "c")]);
            batch["entries"][3]["metadata"]["__key"] = json!("key-1");
            let answer = post_to::<Hasty>(&database, &dapr, &batch).await;
            assert_eq!(answer, statuses(&["SUCCESS", "RETRY", "SUCCESS", "RETRY"]), "{long}");
            assert_eq!(written(&database).await, ["a", "b"], "{long}");
            assert_eq!(count(&pool, "inbox").await, 2);
            assert!(published.lock().unwrap().is_empty());
        })
    };
    tokio::join!(holds_up("hang"), holds_up("sleep"));
}

#[tokio::test]
async fn an_event_alone_that_cannot_be_handled_is_left_to_the_sidecar() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
        for impossible in [event("e1", "bad"), json!({"n": 7}), json!([])] {
            assert_eq!(post(&database, &dapr, &impossible).await, json!({"status": "DROP"}));
        }
        assert!(published.lock().unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_tried_again_while_the_database_is_away() {
    let (dapr, published) = sidecar(StatusCode::NO_CONTENT).await;
    let events = batch(&[event("e1", "a"), event("e2", "bad")]);
    assert_eq!(post(&Database::new(), &dapr, &events).await, statuses(&["RETRY"; 2]));
    assert!(published.lock().unwrap().is_empty());
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_event_alone_that_has_to_wait_is_named_in_the_log_with_the_reason() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, _) = sidecar(StatusCode::NO_CONTENT).await;
        let log = Log::default();
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let retry = json!({"status": "RETRY"});
        assert_eq!(post_to::<Hasty>(&database, &dapr, &event("slow-1", "hang")).await, retry);
        assert_eq!(post_to::<Hasty>(&Database::new(), &dapr, &event("away-1", "a")).await, retry);
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for (id, reason) in [("slow-1", "it took longer than 1s"), ("away-1", "waiting for the sidecar")] {
            let is_named = log.lines().any(|line| line.contains("WARN") && line.contains(id) && line.contains(reason));
            assert!(is_named, "{id}: {log}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_duplicate_is_counted_once_however_often_its_batch_was_rolled_back() {
    with_database(|pool| async move {
        let database = writer(&pool).await;
        let (dapr, _) = sidecar(StatusCode::NO_CONTENT).await;
        let recorder = PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        assert_eq!(post(&database, &dapr, &event("e1", "a")).await, json!({"status": "SUCCESS"}));
        let events = [event("e1", "a"), event("e2", "bad"), event("e3", "b"), event("e3", "b")];
        assert_eq!(post(&database, &dapr, &batch(&events)).await, statuses(&["SUCCESS"; 4]));
        assert_eq!(written(&database).await, ["a", "b"]);
        let metrics = recorder.handle().render();
        assert!(metrics.lines().any(|line| line == r#"inbox_duplicates_total{consumer="writer"} 2"#), "{metrics}");
    })
    .await;
}
