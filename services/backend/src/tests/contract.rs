//! The OpenAPI document and the page that shows it.

use todo_common::testing::keeps_its_contract;

use super::fixture::with_backend;

#[tokio::test]
async fn the_document_describes_every_route_that_people_call() {
    with_backend(async |backend| {
        let mut document = backend.get("/openapi.json").await.body;
        assert_eq!(document, backend.get("/api/openapi.json").await.body);
        document["info"]["version"] = "any".into();
        insta::assert_json_snapshot!(document);
    })
    .await;
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    with_backend(async |backend| {
        let page = backend.text("/api/docs").await;
        assert!(page.contains("/api/tasks/{id}/complete") && page.contains("id=\"Task\""));
        for outside in ["<script", "style=", "src=", "http:", "https:"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(backend.text("/api/docs.css").await.contains("color-scheme"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_says() {
    with_backend(async |backend| keeps_its_contract(backend.router()).await).await;
}
