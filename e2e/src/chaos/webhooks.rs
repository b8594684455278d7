//! Where reminders leave the platform: each user of the load has a webhook. A receiver knows what it has had before by its id
//! (<https://www.standardwebhooks.com>), so a reminder may come more than once, but under one id, and what counts as sent
//! has come.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Ground, facts::Facts, history::History, verdict::Violation};
use crate::harness::{ChannelSink, until};

/// Until the service takes a channel; nothing is broken yet.
const LIMIT: Duration = Duration::from_mins(1);

/// A row of `deliveries`.
#[derive(Debug, Clone, FromRow)]
pub struct Delivery {
    /// Identity, also of what is sent.
    pub id: Uuid,
    /// Task that is reminded of.
    pub task: Uuid,
    /// What became of it.
    pub state: String,
}

/// What the receiver has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What it was sent as.
    pub id: Uuid,
    /// Task that is reminded of.
    pub task: Uuid,
}

/// The spec of a platform whose users may name the sink.
pub fn spec(sink: &ChannelSink) -> Value {
    json!({"notifications": {"webhooks": {"allowPrivateAddresses": true, "ports": [sink.about("http")]}}})
}

/// From now on this user's reminders come to the sink, too.
pub(super) async fn add(ground: &Ground, sink: &ChannelSink, user: &str) -> anyhow::Result<()> {
    let path = format!("/api/notifications/channels?user_id={user}");
    let url = sink.url(&format!("/hook/{user}"));
    let channel = json!({"kind": "webhook", "url": url, "secret": sink.about("secret")});
    until("a webhook is taken", LIMIT, async || {
        ground.page().await?.post(&path, &channel).await?.expect(201)?;
        Ok(Some(()))
    })
    .await
}

#[derive(Deserialize)]
struct Entry {
    id: Uuid,
    message: About,
}

#[derive(Deserialize)]
struct About {
    task_id: Uuid,
}

/// All that the sink has accepted.
pub(super) async fn received(sink: &ChannelSink) -> anyhow::Result<Vec<Webhook>> {
    sink.received().await?.into_iter().map(webhook).collect()
}

/// An error if it could not be verified.
fn webhook(entry: Value) -> anyhow::Result<Webhook> {
    let text = entry.to_string();
    let Entry { id, message } = serde_json::from_value(entry).with_context(|| format!("the sink has {text}"))?;
    Ok(Webhook { id, task: message.task_id })
}

/// What must hold between notifications, deliveries and what has come. Pure.
pub(super) fn judge(history: &History, facts: &Facts, found: &mut Vec<Violation>) {
    let taken_back = history.taken_back();
    let mut planned: HashMap<Uuid, usize> = HashMap::new();
    for delivery in &facts.deliveries {
        *planned.entry(delivery.task).or_default() += 1;
    }
    for (task, shown) in &facts.notifications {
        let planned = planned.get(task).copied().unwrap_or_default();
        if planned < *shown {
            found.push(Violation::NoEffect(format!("webhook of {task} (planned for {planned} of {shown})")));
        }
    }
    let came: HashSet<Uuid> = facts.received.iter().map(|webhook| webhook.id).collect();
    for Delivery { id, task, state } in &facts.deliveries {
        match state.as_str() {
            "sent" if !came.contains(id) => found.push(Violation::Unreceived(format!("webhook {id} of {task}"))),
            // What is taken back need not be sent any more.
            "cancelled" if taken_back.contains(task) => {}
            // The receiver refuses nothing.
            "failed" | "cancelled" => found.push(Violation::NoEffect(format!("webhook {id} of {task} ({state})"))),
            _ => {}
        }
    }
    let known: HashSet<Uuid> = facts.deliveries.iter().map(|delivery| delivery.id).collect();
    let mut by_task: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
    for Webhook { id, task } in &facts.received {
        by_task.entry(*task).or_default().insert(*id);
    }
    for (task, ids) in by_task {
        if ids.len() > 1 {
            found.push(Violation::DoubleEffect(format!("webhook of {task} ({} ids)", ids.len())));
        }
        // A notification goes with its deliveries when its reminder is taken back.
        let unknown = ids.iter().filter(|id| !known.contains(id) && !taken_back.contains(&task));
        found.extend(unknown.map(|id| Violation::Unfounded(format!("webhook {id} of {task}"))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sink_has_accepted_is_read_and_what_it_could_not_verify_is_an_error() {
        let id = Uuid::from_u128(1);
        let task = Uuid::from_u128(2);
        let entry = json!({"kind": "hook", "name": "chaos-0", "id": id, "type": "notification.created",
            "message": {"id": Uuid::nil(), "task_id": task, "title": "told"}});
        assert_eq!(webhook(entry).unwrap(), Webhook { id, task });
        let refused = json!({"kind": "hook", "name": "chaos-0", "refused": "no signature"});
        assert!(webhook(refused).unwrap_err().to_string().contains("no signature"));
    }
}
