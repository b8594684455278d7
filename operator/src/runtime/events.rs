//! Events on platforms: on transitions only, and never so that a failed one fails a pass.

use std::time::Duration;

use kube::{Client, Resource};
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use todo_crds::platform::TodoPlatform;
use tokio::time::timeout;
use tracing::warn;

use crate::{
    class::{bounded, is_namespace_leaving, words},
    labels::MANAGED_BY,
};

/// How long publishing may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Characters of a note; the API server takes 1 kB.
const NOTE: usize = 900;

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub warning: bool,
    /// Reason in one word.
    pub reason: String,
    /// What the operator was doing.
    pub action: &'static str,
    /// In words.
    pub note: String,
}

/// Publishes events. Made once, as what repeats is counted in it.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// A recorder that calls itself `instance`.
    pub fn new(client: Client, instance: String) -> Self {
        Self(Recorder::new(client, Reporter { controller: MANAGED_BY.to_owned(), instance: Some(instance) }))
    }

    /// Publishes a notice on a platform.
    pub async fn publish(&self, platform: &TodoPlatform, notice: Notice) {
        let event = Event {
            type_: if notice.warning { EventType::Warning } else { EventType::Normal },
            reason: bounded(&notice.reason, 128),
            note: Some(bounded(&notice.note, NOTE)),
            action: notice.action.to_owned(),
            secondary: None,
        };
        match timeout(DEADLINE, self.0.publish(&event, &platform.object_ref(&()))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_namespace_leaving(&error) => {}
            Ok(Err(error)) => warn!(reason = %event.reason, error = %words(&error), "cannot publish an event"),
            Err(_) => warn!(reason = %event.reason, "cannot publish an event in time"),
        }
    }
}
