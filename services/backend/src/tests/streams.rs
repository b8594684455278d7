//! `/api/events`.

use axum::{
    body::{Body, BodyDataStream},
    http::{Request, StatusCode},
    response::Response,
};
use futures::StreamExt;
use serde_json::json;

use super::fixture::{Backend, with_backend};
use crate::routes::events::MOST_STREAMS;

async fn open(backend: &Backend) -> Response {
    backend.open(Request::get("/api/events?user_id=ada").body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_pod_has_few_streams_and_a_closed_one_makes_place() {
    with_backend(async |backend| {
        let mut streams = Vec::new();
        for _ in 0..MOST_STREAMS {
            let stream = open(&backend).await;
            assert_eq!(stream.status(), StatusCode::OK);
            assert_eq!(stream.headers()["content-type"], "text/event-stream");
            streams.push(stream);
        }
        let refused = open(&backend).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        streams.pop();
        assert_eq!(open(&backend).await.status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_when_the_service_stops() {
    with_backend(async |backend| {
        let mut body = open(&backend).await.into_body().into_data_stream();
        assert!(body.next().await.unwrap().unwrap().starts_with(b"event: ready"));
        backend.app.stop.cancel();
        assert!(body.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_one_event_ends_with_it() {
    with_backend(async |backend| {
        let feed = backend.app.feed.clone().run(backend.app.database.clone(), backend.app.stop.clone());
        let feed = tokio::spawn(feed);
        let path = "/api/events?user_id=ada&once=true";
        // The first one who looks is told to read anew.
        let resync = backend.text(path).await;
        assert!(resync.contains("retry: 100") && resync.contains("event: resync"), "{resync}");
        let (told, id) = tokio::join!(backend.text(path), backend.create(json!({"user_id": "ada", "title": "Water"})));
        assert!(told.contains("event: ready") && told.contains(&id), "{told}");
        backend.app.stop.cancel();
        feed.await.unwrap();
    })
    .await;
}

/// A stream that goes on from `last`.
async fn go_on(backend: &Backend, query: &str, last: &str) -> BodyDataStream {
    let request = Request::get(format!("/api/events?user_id=ada{query}")).header("last-event-id", last);
    backend.open(request.body(Body::empty()).unwrap()).await.into_body().into_data_stream()
}

/// Reads until the stream tells this: its text, and where it has got to.
async fn until(mut stream: BodyDataStream, told: &str) -> (String, String) {
    let mut text = String::new();
    while !text.contains(told) {
        let chunk = stream.next().await.unwrap_or_else(|| panic!("{told} does not come: {text}"));
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    let id = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned();
    (text, id)
}

#[tokio::test]
async fn what_is_committed_between_two_streams_is_not_missed() {
    with_backend(async |backend| {
        let feed = backend.app.feed.clone().run(backend.app.database.clone(), backend.app.stop.clone());
        let feed = tokio::spawn(feed);
        let create = async || backend.create(json!({"user_id": "ada", "title": "Milk"})).await;
        let missed = async |last: &str| until(go_on(&backend, "&once=true", last).await, "event: resync").await.1;
        // A stream that tells of a task that is made while it is open, and not to read anew.
        let nothing_missed = async |last: &str| {
            let stream = go_on(&backend, "", last).await;
            let (text, id) = until(stream, &create().await).await;
            assert!(!text.contains("resync"), "{text}");
            id
        };
        // The first one who looks is told to read anew.
        let begin = missed("").await;
        let first = nothing_missed(&begin).await;
        create().await;
        let second = missed(&first).await;
        backend.create(json!({"user_id": "bob", "title": "Milk"})).await;
        let third = nothing_missed(&second).await;
        let of_a_long_transaction = "INSERT INTO notifications (id, user_id, title, message, method, visible_at)
             VALUES ('0190b2f4-5c3e-7d1a-9a4b-1f2e3d4c5b6a', 'ada', 'a', 'b', 'push', now() - interval '5 seconds')";
        sqlx::query(of_a_long_transaction).execute(&backend.pool).await.unwrap();
        let fourth = missed(&third).await;
        nothing_missed(&fourth).await;
        missed("an id of another program").await;
        backend.app.stop.cancel();
        feed.await.unwrap();
    })
    .await;
}
