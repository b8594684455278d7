//! Requests with the header `Idempotency-Key`.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Answer, Backend, until, with_backend};

const KEY: (&str, &str) = ("idempotency-key", "\"k-1\"");

async fn create(backend: &Backend, user: &str, title: &str) -> Answer {
    let body = json!({"user_id": user, "title": title});
    backend.send_with(Method::POST, "/api/tasks", &[KEY], body).await
}

async fn count(backend: &Backend, table: &'static str) -> i64 {
    let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(count).fetch_one(&backend.pool).await.unwrap()
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_twice() {
    with_backend(async |backend| {
        let first = create(&backend, "ada", "buy milk").await;
        let second = create(&backend, "ada", "buy milk").await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, ""));
        assert_eq!((second.status, second.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
        assert_eq!(first.body, second.body);
        for header in ["etag", "location", "content-type"] {
            assert_eq!(first.header(header), second.header(header), "{header}");
        }
        assert_eq!((count(&backend, "tasks").await, count(&backend, "outbox").await), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_body_is_given_again_too() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        let path = format!("/api/tasks/{id}?user_id=ada");
        for _ in 0..2 {
            let deleted = backend.send_with(Method::DELETE, &path, &[KEY], Value::Null).await;
            assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        }
        assert_eq!(backend.send(Method::DELETE, &path, Value::Null).await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn another_request_with_the_key_is_refused_and_another_user_has_keys_of_their_own() {
    with_backend(async |backend| {
        create(&backend, "ada", "buy milk").await;
        let other = create(&backend, "ada", "buy bread").await;
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(other.body["type"], "urn:todoplatform:problem:key-reused");
        assert_eq!(create(&backend, "bob", "buy bread").await.status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_failed_may_be_sent_again_with_its_key() {
    with_backend(async |backend| {
        // At once: nothing of the failed one may still be under way.
        for _ in 0..20 {
            assert_eq!(create(&backend, "ada", " ").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        for _ in 0..20 {
            assert_eq!(create(&backend, "ada", "buy milk").await.status, StatusCode::CREATED);
        }
    })
    .await;
}

#[tokio::test]
async fn while_a_request_is_under_way_the_same_is_told_to_wait() {
    with_backend(async |backend| {
        let mut other = backend.pool.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('idempotency/ada/k-1', 0))")
            .execute(&mut *other)
            .await
            .unwrap();
        let answer = create(&backend, "ada", "buy milk").await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!(answer.body["type"], "urn:todoplatform:problem:under-way");
        // As a crash of the other would have it.
        other.rollback().await.unwrap();
        assert_eq!(create(&backend, "ada", "buy milk").await.status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn many_of_the_same_at_once_have_one_effect() {
    with_backend(async |backend| {
        let requests = (0..8).map(|_| create(&backend, "ada", "buy milk"));
        let answers = futures::future::join_all(requests).await;
        let status = |status: StatusCode| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!(status(StatusCode::CREATED) + status(StatusCode::CONFLICT), 8, "{answers:?}");
        assert!(status(StatusCode::CREATED) >= 1);
        assert_eq!(count(&backend, "tasks").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    with_backend(async |backend| {
        create(&backend, "ada", "buy milk").await;
        sqlx::query("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
            .execute(&backend.pool)
            .await
            .unwrap();
        let again = create(&backend, "ada", "buy bread").await;
        assert_eq!(again.status, StatusCode::CREATED);
        assert_eq!(create(&backend, "ada", "buy bread").await.body, again.body);
    })
    .await;
}

#[tokio::test]
async fn a_user_has_a_limited_number_of_keys() {
    with_backend(async |backend| {
        let many =
            "INSERT INTO idempotency_keys SELECT 'ada', n::text, '', 200, '[]', '' FROM generate_series(1, 10000) AS n";
        sqlx::query(many).execute(&backend.pool).await.unwrap();
        assert_eq!(create(&backend, "ada", "buy milk").await.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(create(&backend, "bob", "buy milk").await.status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn the_answers_to_a_users_keys_have_a_limit_together() {
    with_backend(async |backend| {
        let many = "INSERT INTO idempotency_keys
            SELECT 'ada', n::text, '', 200, '[]', decode(repeat('61', 1048576), 'hex') FROM generate_series(1, 64) AS n";
        sqlx::query(many).execute(&backend.pool).await.unwrap();
        assert_eq!(create(&backend, "ada", "buy milk").await.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(create(&backend, "bob", "buy milk").await.status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn requests_that_read_or_change_nothing_more_cannot_fill_the_database_with_their_answers() {
    with_backend(async |backend| {
        let tasks = "INSERT INTO tasks (id, user_id, title, notes, due_sort, created_at, updated_at, completed_at)
            SELECT gen_random_uuid(), 'ada', 'water plant ' || n, repeat('x', 10000), now(), now(), now(),
                CASE WHEN n > 40 THEN now() END
            FROM generate_series(1, 80) AS n";
        sqlx::query(tasks).execute(&backend.pool).await.unwrap();
        let completed = "SELECT id FROM tasks WHERE completed_at IS NOT NULL";
        let completed: Vec<Uuid> = sqlx::query_scalar(completed).fetch_all(&backend.pool).await.unwrap();
        for _ in 0..20 {
            let ids = [(); 2].map(|()| Uuid::new_v4().to_string());
            let shown = say(&backend, &[("todo-request-id", &ids[0])], "show my tasks").await;
            assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
            let again = json!({"user_id": "ada", "action": "complete", "ids": completed});
            let again =
                backend.send_with(Method::POST, "/api/tasks/bulk", &[("todo-request-id", &ids[1])], again).await;
            assert_eq!(again.status, StatusCode::OK, "{again:?}");
        }
        // One that changes something is kept, without the list that it has looked through.
        for replayed in ["", "true"] {
            let told = say(&backend, &[ID], "complete water plant 7").await;
            assert_eq!(told.header("idempotency-replayed"), replayed);
            assert_eq!(told.body["response"], "Completed \"water plant 7\".");
        }
        let kept: i64 = sqlx::query_scalar("SELECT sum(octet_length(body)) FROM idempotency_keys")
            .fetch_one(&backend.pool)
            .await
            .unwrap();
        assert!(kept < 1000, "{kept} bytes");
    })
    .await;
}

#[tokio::test]
async fn a_write_whose_commit_fails_is_not_answered_as_done_and_may_be_tried_again() {
    with_backend(async |backend| {
        // Looked at by the commit and not before.
        for statement in [
            "CREATE TABLE known (title text PRIMARY KEY)",
            "ALTER TABLE tasks ADD CONSTRAINT of_known FOREIGN KEY (title) REFERENCES known DEFERRABLE INITIALLY DEFERRED",
        ] {
            sqlx::query(statement).execute(&backend.pool).await.unwrap();
        }
        let task = json!({"user_id": "ada", "title": "buy milk"});
        for headers in [&[][..], &[KEY]] {
            let answer = backend.send_with(Method::POST, "/api/tasks", headers, task.clone()).await;
            assert!(!answer.status.is_success(), "{answer:?}");
        }
        assert_eq!((count(&backend, "tasks").await, count(&backend, "outbox").await), (0, 0));
        sqlx::query("ALTER TABLE tasks DROP CONSTRAINT of_known").execute(&backend.pool).await.unwrap();
        assert_eq!(create(&backend, "ada", "buy milk").await.status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn a_sentence_that_is_said_twice_with_one_key_is_done_once_and_is_in_its_conversation_once() {
    with_backend(async |backend| {
        let say = async |conversation: Value| {
            let body = json!({"user_id": "ada", "conversation_id": conversation, "message": "add buy milk"});
            backend.send_with(Method::POST, "/api/chat", &[KEY], body).await
        };
        let (first, second) = (say(json!("talk")).await, say(json!("talk")).await);
        assert_eq!((first.status, second.header("idempotency-replayed")), (StatusCode::OK, "true"), "{first:?}");
        assert_eq!(first.body, second.body);
        assert_eq!((count(&backend, "tasks").await, count(&backend, "outbox").await), (1, 1));
        let history = backend.get("/api/conversations/talk?user_id=ada").await;
        assert_eq!(history.body["messages"].as_array().map(Vec::len), Some(2), "{history:?}");
        assert_eq!(say(json!("another")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "it is another request");
    })
    .await;
}

/// Says something in the conversation `talk`.
async fn say(backend: &Backend, headers: &[(&str, &str)], message: &str) -> Answer {
    let body = json!({"user_id": "ada", "conversation_id": "talk", "message": message});
    backend.send_with(Method::POST, "/api/chat", headers, body).await
}

#[tokio::test]
async fn numbers_mean_the_list_that_was_shown_last_also_where_it_had_to_be_asked_for_twice() {
    with_backend(async |backend| {
        backend.create(json!({"user_id": "ada", "title": "a"})).await;
        backend.create(json!({"user_id": "ada", "title": "b", "tags": ["home"]})).await;
        backend.sidecar.fail_next_save();
        let first = say(&backend, &[KEY], "show tasks #home").await;
        assert!(first.status.is_server_error(), "its numbers would mean other tasks: {first:?}");
        let second = say(&backend, &[KEY], "show tasks #home").await;
        assert_eq!((second.status, second.header("idempotency-replayed")), (StatusCode::OK, ""), "{second:?}");
        assert_eq!(say(&backend, &[], "complete 1").await.body["response"], "Completed \"b\".");
    })
    .await;
}

#[tokio::test]
async fn a_list_that_is_asked_for_again_with_its_key_shows_tasks_as_they_are_now() {
    with_backend(async |backend| {
        let id = backend.create(json!({"user_id": "ada", "title": "a"})).await;
        backend.create(json!({"user_id": "ada", "title": "b"})).await;
        let show = async || say(&backend, &[KEY], "show my tasks").await.body["response"].clone();
        assert_eq!(show().await, "You have 2 open tasks:\n1. [ ] a\n2. [ ] b");
        let completed = backend.post(&format!("/api/tasks/{id}/complete"), json!({"user_id": "ada"})).await;
        assert_eq!(completed.status, StatusCode::OK, "{completed:?}");
        assert_eq!(show().await, "You have 1 open task:\n1. [ ] b");
    })
    .await;
}

#[tokio::test]
async fn a_sentence_that_changes_something_is_done_where_its_conversation_cannot_be_saved() {
    with_backend(async |backend| {
        backend.sidecar.fail_next_save();
        for replayed in ["", "true"] {
            let added = say(&backend, &[KEY], "add buy milk").await;
            assert_eq!((added.status, added.header("idempotency-replayed")), (StatusCode::OK, replayed), "{added:?}");
        }
        assert_eq!(count(&backend, "tasks").await, 1);
    })
    .await;
}

const ID: (&str, &str) = ("todo-request-id", "0193a1b0-7c1e-7000-8000-000000000001");

#[tokio::test]
async fn a_conversation_that_is_deleted_twice_by_one_request_was_there() {
    with_backend(async |backend| {
        let path = "/api/conversations/talk?user_id=ada";
        for by in [ID, KEY] {
            say(&backend, &[], "help").await;
            let first = backend.send_with(Method::DELETE, path, &[by], Value::Null).await;
            let second = backend.send_with(Method::DELETE, path, &[by], Value::Null).await;
            assert_eq!((first.status, second.status), (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT), "{by:?}");
            assert_eq!(second.header("idempotency-replayed"), "true");
        }
        assert_eq!(backend.send(Method::DELETE, path, Value::Null).await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn the_deletion_of_a_conversation_that_breaks_off_is_sent_again_and_answered() {
    with_backend(async |backend| {
        let path = "/api/conversations/talk?user_id=ada";
        for by in [ID, KEY] {
            say(&backend, &[], "help").await;
            backend.sidecar.answer_removals(false);
            let delete = async || backend.send_with(Method::DELETE, path, &[by], Value::Null).await;
            tokio::select! {
                early = delete() => panic!("the store has not answered: {early:?}"),
                () = until("the store has removed it", || backend.sidecar.stored("conversation-talk").is_none()) => {}
            }
            backend.sidecar.answer_removals(true);
            assert_eq!(delete().await.status, StatusCode::NO_CONTENT, "{by:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_was_done_is_answered_again_and_leaves_what_was_said_since() {
    with_backend(async |backend| {
        let path = "/api/conversations/talk?user_id=ada";
        let delete = async || backend.send_with(Method::DELETE, path, &[KEY], Value::Null).await;
        say(&backend, &[], "help").await;
        for replayed in ["", "true", "true"] {
            let deleted = delete().await;
            let expected = (StatusCode::NO_CONTENT, replayed);
            assert_eq!((deleted.status, deleted.header("idempotency-replayed")), expected);
            say(&backend, &[], "help").await;
        }
        assert!(backend.sidecar.stored("conversation-talk").is_some());
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_broke_off_deletes_nothing_that_was_said_since_and_can_be_asked_for_again() {
    with_backend(async |backend| {
        let path = "/api/conversations/talk?user_id=ada";
        let delete = async || backend.send_with(Method::DELETE, path, &[KEY], Value::Null).await;
        say(&backend, &[], "help").await;
        backend.sidecar.answer_removals(false);
        tokio::select! {
            early = delete() => panic!("the store has not answered: {early:?}"),
            () = until("the store has removed it", || backend.sidecar.stored("conversation-talk").is_none()) => {}
        }
        backend.sidecar.answer_removals(true);
        say(&backend, &[], "help").await;
        assert_eq!(delete().await.status, StatusCode::CONFLICT);
        assert!(backend.sidecar.stored("conversation-talk").is_some(), "what was said since is not lost");
        assert_eq!(delete().await.status, StatusCode::NO_CONTENT);
        assert!(backend.sidecar.stored("conversation-talk").is_none());
    })
    .await;
}

#[tokio::test]
async fn deletions_of_conversations_that_wait_for_the_store_hold_no_connection() {
    with_backend(async |backend| {
        backend.sidecar.hang_state();
        let delete = async |backend: Backend| {
            let id = Uuid::new_v4().to_string();
            let path = "/api/conversations/talk?user_id=ada";
            backend.send_with(Method::DELETE, path, &[("todo-request-id", &id)], Value::Null).await
        };
        let waiting: Vec<_> = (0..20).map(|_| tokio::spawn(delete(backend.clone()))).collect();
        until("eight deletions wait for the store", || backend.sidecar.hanging_reads() >= 8).await;
        let write = backend.create(json!({"user_id": "ada", "title": "a"}));
        tokio::time::timeout(Duration::from_secs(4), write).await.unwrap();
        for deletion in waiting {
            deletion.abort();
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_the_sidecar_sends_again_is_done_once_without_a_key() {
    with_backend(async |backend| {
        let send = async |body| backend.send_with(Method::POST, "/api/tasks", &[ID], body).await;
        let task = json!({"user_id": "ada", "title": "buy milk"});
        // At the same time, too: its caller knows of one request and waits for its answer.
        let answers = futures::future::join_all((0..4).map(|_| send(task.clone()))).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (StatusCode::CREATED, &answers[0].body), "{answer:?}");
        }
        assert_eq!((count(&backend, "tasks").await, count(&backend, "outbox").await), (1, 1));
        let kept = "SELECT count(*) FROM idempotency_keys WHERE created_at < now() - interval '23 hours 45 minutes'";
        let kept: i64 = sqlx::query_scalar(kept).fetch_one(&backend.pool).await.unwrap();
        assert_eq!(kept, 1, "for a short time, as if it were older");

        let many =
            "INSERT INTO idempotency_keys SELECT 'bob', n::text, '', 200, '[]', '' FROM generate_series(1, 10000) AS n";
        sqlx::query(many).execute(&backend.pool).await.unwrap();
        let of_bob = send(json!({"user_id": "bob", "title": "buy milk"})).await;
        assert_eq!(of_bob.status, StatusCode::CREATED, "it is none of the user's keys: {of_bob:?}");
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_is_called_twice_by_one_request_works_once() {
    with_backend(async |backend| {
        let call = async |title: &str| {
            let arguments = json!({"name": "create_task", "arguments": {"user_id": "ada", "title": title}});
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments});
            let headers = [("accept", "application/json, text/event-stream"), ("host", "backend-service"), ID];
            backend.send_with(Method::POST, "/mcp", &headers, body).await.body["result"].clone()
        };
        let first = call("buy milk").await;
        assert_eq!(first["structuredContent"]["status"], "created", "{first}");
        assert_eq!(call("buy milk").await, first);
        assert_eq!(count(&backend, "tasks").await, 1);
        assert_eq!(call("buy bread").await["isError"], true, "it is another request");
    })
    .await;
}

#[tokio::test]
async fn who_asks_again_for_a_notification_with_one_key_asks_for_the_same_one() {
    with_backend(async |backend| {
        let say = async |headers: &[(&str, &str)]| {
            let body = json!({"user_id": "ada", "message": "send me a test notification"});
            let answer = backend.send_with(Method::POST, "/api/chat", headers, body).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        };
        say(&[KEY]).await;
        // As after a crash before the commit: the notification was asked for, and nothing is known of it here.
        sqlx::query("DELETE FROM idempotency_keys").execute(&backend.pool).await.unwrap();
        say(&[KEY]).await;
        say(&[]).await;
        let ids = backend.sidecar.call_ids();
        assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    })
    .await;
}
