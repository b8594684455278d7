//! Chat, and what is remembered of it.

use jiff::Timestamp;
use serde_json::json;
use todo_e2e::harness::Platform;

use crate::shared::{self, tasks};

#[tokio::test]
async fn a_chat_line_adds_a_task_and_its_conversation_is_saved_read_and_deleted() {
    shared::with("chat", async |platform, user| is_saved_read_and_deleted(&platform, &user).await).await;
}

#[tokio::test]
async fn what_two_tabs_say_in_one_conversation_at_once_is_all_kept() {
    shared::with("tabs", async |platform, user| is_kept_whole_when_two_speak_at_once(&platform, &user).await).await;
}

/// A user who has no tasks adds one by chat. The conversation is then read and deleted.
pub(crate) async fn is_saved_read_and_deleted(platform: &Platform, user: &str) -> anyhow::Result<()> {
    let page = platform.page().await?;
    let say = async |message: &str, conversation: Option<&str>| {
        let body = json!({"user_id": user, "message": message, "conversation_id": conversation});
        Ok::<_, anyhow::Error>(page.post("/api/chat", &body).await?.expect(200)?.json())
    };
    let answer = say("Add a new task to buy groceries", None).await?;
    assert_eq!(answer["tool_calls"][0]["name"], "create_task", "{answer}");
    let conversation = answer["conversation_id"].as_str().unwrap().to_owned();
    assert_eq!(tasks(&page, user).await?[0]["title"], "buy groceries");

    let answer = say("show my tasks", Some(&conversation)).await?;
    assert!(answer["response"].as_str().unwrap().contains("buy groceries"), "{answer}");
    assert_eq!(answer["conversation_id"], conversation.as_str());

    let answer = say("what is the meaning of life?", Some(&conversation)).await?;
    assert_eq!(answer["engine"], "commands", "it says what it is: {answer}");

    // Under the bare key that the specification gives it, as any client of Dapr finds it.
    let sidecar = platform.sidecar("backend-service").await?;
    let key = format!("/v1.0/state/statestore/conversation-{conversation}");
    let state = sidecar.get(&key).await?.expect(200)?;
    assert!(state.text.contains("buy groceries"), "{}", state.text);
    assert!(state.headers.contains_key("etag"));
    let expires = state.headers["metadata.ttlexpiretime"].to_str()?.parse::<Timestamp>()?;
    let days = expires.duration_since(Timestamp::now()).as_secs_f64() / 86_400.0;
    assert!((29.9..30.1).contains(&days), "it is gone in {days} days");

    let path = format!("/api/conversations/{conversation}?user_id={user}");
    let read = page.get(&path).await?.expect(200)?;
    assert!(read.text.contains("show my tasks"), "{}", read.text);
    let stranger = format!("/api/conversations/{conversation}?user_id=somebody-else");
    page.get(&stranger).await?.expect(404)?;

    page.delete(&path).await?.expect(204)?;
    page.get(&path).await?.expect(404)?;
    sidecar.get(&key).await?.expect(204)?;
    Ok(())
}

/// Several lines of one user at once in one conversation.
pub(crate) async fn is_kept_whole_when_two_speak_at_once(platform: &Platform, user: &str) -> anyhow::Result<()> {
    let page = platform.page().await?;
    let conversation = format!("{user}-tabs");
    let say = async |message: &str| {
        let body = json!({"user_id": user, "message": message, "conversation_id": conversation});
        page.post("/api/chat", &body).await?.expect(200)
    };
    say("add the first").await?;
    tokio::try_join!(say("add milk"), say("add bread"), say("add tea"))?;
    let path = format!("/api/conversations/{conversation}?user_id={user}");
    let kept = page.get(&path).await?.expect(200)?.json();
    let said = kept["messages"].as_array().into_iter().flatten().filter(|message| message["role"] == "user");
    let mut said: Vec<_> = said.filter_map(|message| message["content"].as_str()).collect();
    said.sort_unstable();
    assert_eq!(said, ["add bread", "add milk", "add tea", "add the first"], "{kept}");
    Ok(())
}

#[tokio::test]
async fn a_chat_line_completes_a_task_by_its_words() {
    shared::with("words", async |platform, user| {
        let page = platform.page().await?;
        for message in ["add call the dentist", "complete call the dentist"] {
            page.post("/api/chat", &json!({"user_id": user, "message": message})).await?.expect(200)?;
        }
        let shown = page.get(&format!("/api/tasks?user_id={user}&status=completed")).await?.expect(200)?.json();
        assert_eq!(shown["items"][0]["title"], "call the dentist", "{shown}");
        Ok(())
    })
    .await;
}
