//! `/api/chat` and `/api/conversations`.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Backend, until, with_backend};

async fn say(backend: &Backend, conversation: &Value, message: &str) -> Value {
    let mut body = json!({"user_id": "ada", "message": message, "time_zone": "Europe/Berlin"});
    if !conversation.is_null() {
        body["conversation_id"] = conversation.clone();
    }
    let answer = backend.post("/api/chat", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{message}: {answer:?}");
    assert_eq!(answer.body["engine"], "commands");
    answer.body
}

fn tools(answer: &Value) -> Vec<&str> {
    answer["tool_calls"].as_array().unwrap().iter().map(|call| call["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_conversation_adds_shows_changes_and_deletes_tasks() {
    with_backend(async |backend| {
        let added = say(&backend, &Value::Null, "Add a new task to buy groceries").await;
        let id = &added["conversation_id"];
        assert_eq!(added["response"], "Added \"buy groceries\".");
        assert_eq!(added["tool_calls"][0]["name"], "create_task");
        assert_eq!(added["tool_calls"][0]["result"]["status"], "created");
        say(&backend, id, "add team meeting tomorrow 9am #work !high").await;

        let shown = say(&backend, id, "show my tasks").await;
        assert!(
            shown["response"]
                .as_str()
                .unwrap()
                .starts_with("You have 2 open tasks:\n1. [ ] buy groceries\n2. [ ] team meeting (")
        );
        assert_eq!(say(&backend, id, "complete task 1").await["response"], "Completed \"buy groceries\".");
        assert_eq!(
            say(&backend, id, "move the meeting to 2030-01-02").await["response"],
            "\"team meeting\" is now due Wed 2 Jan 2030."
        );
        let deleted = say(&backend, id, "Delete the meeting task").await;
        assert_eq!(tools(&deleted), ["list_tasks", "delete_task"]);
        assert_eq!(say(&backend, id, "what's pending?").await["response"], "You have no open tasks like that.");
        assert!(
            say(&backend, id, "What have I completed?").await["response"]
                .as_str()
                .unwrap()
                .contains("[x] buy groceries")
        );
    })
    .await;
}

#[tokio::test]
async fn a_task_that_is_not_clear_is_asked_for() {
    with_backend(async |backend| {
        let id = say(&backend, &Value::Null, "add buy milk").await["conversation_id"].clone();
        say(&backend, &id, "add buy oat milk").await;
        let which = say(&backend, &id, "complete milk").await;
        assert!(which["response"].as_str().unwrap().starts_with("Which one?"));
        assert_eq!(say(&backend, &id, "complete task 2").await["response"], "Completed \"buy oat milk\".");
        assert_eq!(tools(&say(&backend, &id, "complete task 7").await), Vec::<&str>::new());
    })
    .await;
}

#[tokio::test]
async fn it_says_that_it_is_a_command_parser() {
    with_backend(async |backend| {
        for sentence in ["help", "what is the meaning of life?"] {
            let answer = say(&backend, &Value::Null, sentence).await;
            assert!(answer["response"].as_str().unwrap().contains("command parser, not a language model"), "{answer}");
            assert_eq!(tools(&answer), Vec::<&str>::new());
        }
    })
    .await;
}

#[tokio::test]
async fn a_test_notification_is_asked_of_the_notification_service() {
    with_backend(async |backend| {
        let answer = say(&backend, &Value::Null, "send me a test notification").await;
        assert_eq!(tools(&answer), ["send_notification"]);
        let (app, body) = backend.sidecar.calls().remove(0);
        assert_eq!((app.as_str(), &body["user_id"]), ("notification-service/send-notification", &json!("ada")));
        assert_eq!(body["test"], true, "it is counted as one");
    })
    .await;
}

#[tokio::test]
async fn what_the_notification_service_refuses_is_told_in_its_words_and_what_the_sidecar_does_is_not() {
    with_backend(async |backend| {
        let many = json!({"type": "urn:todoplatform:problem:too-many-tests", "title": "There were too many tests",
            "status": 429, "detail": "at most 5 in 10 minutes"});
        backend.sidecar.refuse_next_invocation(StatusCode::TOO_MANY_REQUESTS, many);
        let answer = say(&backend, &Value::Null, "send me a test notification").await;
        assert_eq!(answer["response"], "That does not work: at most 5 in 10 minutes");
        assert_eq!(answer["tool_calls"][0]["result"]["error"], "at most 5 in 10 minutes");

        let denied = json!({"errorCode": "ERR_DIRECT_INVOKE", "message": "access control policy has denied access"});
        backend.sidecar.refuse_next_invocation(StatusCode::FORBIDDEN, denied);
        let body = json!({"user_id": "ada", "message": "send me a test notification"});
        assert_eq!(backend.post("/api/chat", body).await.status, StatusCode::SERVICE_UNAVAILABLE);
    })
    .await;
}

#[tokio::test]
async fn sentences_that_wait_for_another_service_hold_no_connection() {
    with_backend(async |backend| {
        backend.sidecar.hang_invocations();
        let sentence = || json!({"user_id": "ada", "message": "send me a test notification"});
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let backend = backend.clone();
                tokio::spawn(async move { backend.post("/api/chat", sentence()).await })
            })
            .collect();
        until("eight sentences wait for the other service", || backend.sidecar.calls().len() >= 8).await;
        let write = backend.create(json!({"user_id": "ada", "title": "a"}));
        tokio::time::timeout(Duration::from_secs(4), write).await.unwrap();
        for sentence in waiting {
            sentence.abort();
        }
    })
    .await;
}

#[tokio::test]
async fn a_test_notification_with_a_key_is_asked_for_once_in_a_day() {
    with_backend(async |backend| {
        let sentence = json!({"user_id": "ada", "conversation_id": "c1", "message": "send me a test notification"});
        let say =
            async || backend.send_with(Method::POST, "/api/chat", &[("idempotency-key", "k1")], sentence.clone()).await;
        let first = say().await;
        assert_eq!((first.status, backend.sidecar.calls().len()), (StatusCode::OK, 1));
        let again = say().await;
        assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &first.body));
        assert_eq!(backend.sidecar.calls().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_conversation_is_its_owners_only() {
    with_backend(async |backend| {
        let id = say(&backend, &Value::Null, "add buy milk").await["conversation_id"].as_str().unwrap().to_owned();
        let path = |user: &str| format!("/api/conversations/{id}?user_id={user}");
        let own = backend.get(&path("ada")).await;
        let contents: Vec<_> =
            own.body["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
        assert_eq!(contents, [&json!("add buy milk"), &json!("Added \"buy milk\".")]);

        assert_eq!(backend.get(&path("bob")).await.status, StatusCode::NOT_FOUND);
        let stranger =
            backend.post("/api/chat", json!({"user_id": "bob", "conversation_id": id, "message": "help"})).await;
        assert_eq!(stranger.status, StatusCode::NOT_FOUND);
        assert_eq!(backend.send(Method::DELETE, &path("bob"), Value::Null).await.status, StatusCode::NOT_FOUND);
        assert_eq!(backend.send(Method::DELETE, &path("ada"), Value::Null).await.status, StatusCode::NO_CONTENT);
        assert_eq!(backend.get(&path("ada")).await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn what_another_tab_said_meanwhile_is_kept() {
    with_backend(async |backend| {
        let said = json!({"role": "user", "content": "from the other tab", "at": "2026-01-01T00:00:00Z"});
        let other = json!({"user_id": "ada", "messages": [said], "shown": [], "updated_at": "2026-01-01T00:00:00Z"});
        backend.sidecar.interfere("conversation-c1", other);
        say(&backend, &json!("c1"), "help").await;
        let messages = backend.sidecar.stored("conversation-c1").unwrap()["messages"].as_array().unwrap().clone();
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0]["content"], "from the other tab");
        assert_eq!(messages[1]["content"], "help");
    })
    .await;
}

#[tokio::test]
async fn a_list_that_another_tab_was_shown_meanwhile_is_what_its_numbers_mean() {
    with_backend(async |backend| {
        say(&backend, &json!("c1"), "add a").await;
        let b = backend.create(json!({"user_id": "ada", "title": "b"})).await;
        let other = json!({"user_id": "ada", "messages": [], "shown": [b], "updated_at": "2026-01-01T00:00:00Z"});
        backend.sidecar.interfere("conversation-c1", other);
        say(&backend, &json!("c1"), "help").await;
        assert_eq!(say(&backend, &json!("c1"), "complete 1").await["response"], "Completed \"b\".");
    })
    .await;
}

#[tokio::test]
async fn wrong_conversations_zones_and_messages_are_refused() {
    with_backend(async |backend| {
        for body in [
            json!({"user_id": "ada", "message": "help", "conversation_id": "user-ada"}),
            json!({"user_id": "ada", "message": "help", "time_zone": "Mars/Base"}),
            json!({"user_id": "ada", "message": "x".repeat(2001)}),
            json!({"user_id": "ada"}),
            json!({"message": "help"}),
        ] {
            assert_eq!(
                backend.post("/api/chat", body.clone()).await.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{body}"
            );
        }
    })
    .await;
}
