//! The MCP tools, by a client that somebody else wrote.

use serde_json::{Value, json};
use todo_e2e::harness::Python;

use crate::shared::{self, tasks};

const CLIENT: &str = "mcp==2.3.0";

#[tokio::test]
async fn the_python_client_lists_the_tools_and_creates_a_task_that_rest_shows() {
    shared::with("mcp", async |platform, user| {
        let page = platform.page().await?;
        let python = Python::with(platform.namespace.env.cluster.settings(), CLIENT).await?;
        let call = async |tool: &str, arguments: Value| {
            let script = python.script("mcp_client.py").arg(page.url("/mcp")).arg(tool);
            let output = script.arg(arguments.to_string()).run().await?;
            Ok::<Value, anyhow::Error>(serde_json::from_str(&output)?)
        };
        let created = call("create_task", json!({"user_id": user, "title": "learn Dapr", "description": "all of it"}));
        let created = created.await?;
        assert_eq!(created["is_error"], false, "{created}");
        for tool in ["list_tasks", "create_task"] {
            assert!(created["tools"].as_array().unwrap().contains(&json!(tool)), "{created}");
        }
        let result = &created["structured"];
        assert_eq!((&result["status"], &result["title"]), (&json!("created"), &json!("learn Dapr")));

        let shown = tasks(&page, &user).await?;
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0]["id"], result["task_id"]);
        assert_eq!(shown[0]["notes"], "all of it");

        let listed = call("list_tasks", json!({"user_id": user, "status": "all"})).await?;
        assert!(listed["structured"].to_string().contains("learn Dapr"), "{listed}");

        // What the tools remember of a conversation is under the key that the specification gives it.
        let sidecar = platform.sidecar("backend-service").await?;
        let state = sidecar.get(&format!("/v1.0/state/statestore/conversation-user-{user}")).await?.expect(200)?;
        assert_eq!(state.json()["last_action"], "list_tasks", "{}", state.text);
        Ok(())
    })
    .await;
}
