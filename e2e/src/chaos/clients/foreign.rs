//! Events of another publisher, which knows of no row of ours.

use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    super::history::{Outcome, Request},
    Client, PATIENCE,
};

/// Longer than any way to be reminded.
const NO_METHOD: usize = 60;

impl Client {
    /// Publishes one event twice, as everybody does who does not know whether it has worked, together with one that cannot
    /// be handled.
    pub(super) async fn tell(&mut self, task: Uuid) {
        let (event, impossible) = (Uuid::new_v4(), Uuid::new_v4());
        let data = |method: &str| {
            let now = jiff::Timestamp::now().to_string();
            json!({"task_id": task, "user_id": self.user, "title": "told", "remind_at": now, "notification_method": method})
        };
        let entry = |id: Uuid, method: &str| {
            let metadata = json!({"cloudevent.id": id, "partitionKey": task});
            json!({"entryId": Uuid::new_v4(), "event": data(method), "contentType": "application/json", "metadata": metadata})
        };
        let entries = json!([entry(event, "push"), entry(event, "push"), entry(impossible, &"x".repeat(NO_METHOD))]);
        let publish = async {
            let sidecar = self.ground.sidecar("backend-service").await?;
            anyhow::Ok(sidecar.post("/v1.0-alpha1/publish/bulk/kafka-pubsub/reminders", &entries).await?)
        };
        let outcome = match timeout(PATIENCE, publish).await {
            Ok(Ok(answer)) if answer.status.is_success() => Outcome::Acknowledged,
            _ => Outcome::Unknown,
        };
        self.history.note(Request::Tell { event, task }, outcome);
        self.history.note(Request::Impossible { event: impossible }, outcome);
    }
}
