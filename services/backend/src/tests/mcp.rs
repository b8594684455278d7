//! `/mcp`, as clients of both protocol versions speak it: JSON-RPC in a POST each, without a session.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};
use todo_common::server::BODY_LIMIT;

use super::fixture::{Backend, with_backend};

async fn rpc(backend: &Backend, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    // Any host: a sidecar calls with the name of its choice.
    let headers = [("accept", "application/json, text/event-stream"), ("host", "backend-service.todo.svc")];
    let answer = backend.send_with(Method::POST, "/mcp", &headers, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{method}: {answer:?}");
    assert!(answer.headers.get("mcp-session-id").is_none());
    answer.body
}

async fn call(backend: &Backend, tool: &str, arguments: Value) -> Value {
    rpc(backend, "tools/call", json!({"name": tool, "arguments": arguments})).await["result"].clone()
}

#[tokio::test]
async fn a_client_with_the_older_handshake_finds_the_tools() {
    with_backend(async |backend| {
        let client = json!({"name": "test", "version": "1"});
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let welcome = rpc(&backend, "initialize", hello).await;
        assert_eq!(welcome["result"]["serverInfo"]["name"], "todo-backend");
        let tools = rpc(&backend, "tools/list", json!({})).await["result"]["tools"].clone();
        let names: Vec<_> = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["list_tasks", "create_task", "complete_task", "delete_task", "update_task"]);
        assert_eq!(tools[0]["annotations"]["readOnlyHint"], true);
        assert_eq!(tools[1]["inputSchema"]["required"], json!(["user_id", "title"]));
    })
    .await;
}

#[tokio::test]
async fn a_client_of_the_stateless_version_discovers_the_server_and_calls_a_tool() {
    with_backend(async |backend| {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let send = async |method: &str, name: Option<&str>, mut params: Value| {
            params["_meta"] = meta.clone();
            let mut headers = vec![
                ("host", "backend-service"),
                ("accept", "application/json, text/event-stream"),
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", method),
            ];
            headers.extend(name.map(|name| ("mcp-name", name)));
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            let answer = backend.send_with(Method::POST, "/mcp", &headers, body).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            answer.body
        };
        let found = send("server/discover", None, json!({})).await;
        let versions = found["result"]["supportedVersions"].as_array().cloned().unwrap_or_default();
        assert!(versions.contains(&json!("2026-07-28")), "{found}");
        let arguments = json!({"name": "create_task", "arguments": {"user_id": "ada", "title": "a"}});
        let created = send("tools/call", Some("create_task"), arguments).await;
        assert_eq!(created["result"]["structuredContent"]["status"], "created", "{created}");
    })
    .await;
}

#[tokio::test]
async fn tools_create_list_complete_and_delete_as_the_specification_says() {
    with_backend(async |backend| {
        let created = call(&backend, "create_task", json!({"user_id": "ada", "title": "a", "description": "b"})).await;
        let id = created["structuredContent"]["task_id"].clone();
        assert_eq!(created["structuredContent"], json!({"task_id": id, "status": "created", "title": "a"}));
        let listed = call(&backend, "list_tasks", json!({"user_id": "ada"})).await["structuredContent"].clone();
        assert_eq!((&listed["count"], &listed["tasks"][0]["notes"]), (&json!(1), &json!("b")));
        assert_eq!(backend.sidecar.stored("conversation-user-ada").unwrap()["last_action"], "list_tasks");

        let one = json!({"user_id": "ada", "task_id": id});
        assert_eq!(call(&backend, "complete_task", one.clone()).await["structuredContent"]["status"], "completed");
        let open = call(&backend, "list_tasks", json!({"user_id": "ada", "status": "pending"})).await;
        assert_eq!(open["structuredContent"]["count"], 0);
        let update = json!({"user_id": "ada", "task_id": id, "title": "c", "due_date": "2030-01-01"});
        assert_eq!(call(&backend, "update_task", update).await["structuredContent"]["title"], "c");
        assert_eq!(call(&backend, "delete_task", one).await["structuredContent"]["status"], "deleted");
    })
    .await;
}

#[tokio::test]
async fn a_store_that_hangs_does_not_keep_a_tool_from_answering() {
    with_backend(async |backend| {
        backend.sidecar.hang_state();
        let created = call(&backend, "create_task", json!({"user_id": "ada", "title": "a"}));
        let created = tokio::time::timeout(Duration::from_secs(4), created).await.unwrap();
        assert_eq!(created["structuredContent"]["status"], "created");
    })
    .await;
}

#[tokio::test]
async fn what_a_model_can_put_right_is_a_failed_result_with_words() {
    with_backend(async |backend| {
        for (tool, arguments, words) in [
            ("create_task", json!({"user_id": "ada"}), "title"),
            ("create_task", json!({"title": "a"}), "user_id"),
            ("create_task", json!({"user_id": "$canary", "title": "a"}), "user_id"),
            ("create_task", json!({"user_id": "ada", "title": "a", "colour": "red"}), "colour"),
            ("complete_task", json!({"user_id": "ada", "task_id": "3"}), "task_id"),
            (
                "complete_task",
                json!({"user_id": "ada", "task_id": "0193a1b0-7c1e-7000-8000-000000000001"}),
                "no such task",
            ),
        ] {
            let result = call(&backend, tool, arguments.clone()).await;
            assert_eq!(result["isError"], true, "{tool} {arguments}: {result}");
            assert!(result["content"][0]["text"].as_str().unwrap().contains(words), "{tool} {arguments}: {result}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_tool_is_a_malformed_call() {
    with_backend(async |backend| {
        let answer = rpc(&backend, "tools/call", json!({"name": "drop_tables", "arguments": {}})).await;
        assert_eq!(answer["error"]["code"], -32602);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_is_refused_as_a_problem() {
    with_backend(async |backend| {
        let both = "application/json, text/event-stream";
        for (method, accept, content_type, body, status, kind) in [
            (Method::PUT, both, "application/json", "{}".into(), 405, "method"),
            (Method::POST, "text/html", "application/json", "{}".into(), 406, "accept"),
            (Method::POST, both, "text/plain", "{}".into(), 415, "media-type"),
            (Method::POST, both, "application/json", "{".into(), 400, "bad-request"),
            (Method::POST, both, "application/json", " ".repeat(BODY_LIMIT + 1), 413, "too-large"),
        ] {
            let request = Request::builder().method(method).uri("/mcp").header("host", "backend-service");
            let request = request.header("accept", accept).header("content-type", content_type);
            let answer = backend.request(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
            assert_eq!(answer.body["type"], format!("urn:todoplatform:problem:{kind}"));
        }
    })
    .await;
}
