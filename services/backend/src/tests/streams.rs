//! `/api/events`.

use axum::{
    body::Body,
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
