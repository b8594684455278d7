//! Tells what a pass found: in the status, and what has changed by events, too.

use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use todo_crds::platform::TodoPlatform;
use tracing::{error, info, warn};

use super::{
    Context, Unreadable,
    memory::{Memory, version},
    notices, pace,
    queue::Action,
};
use crate::{
    apply,
    class::Class,
    runtime::metrics,
    status::{self, Assessment, Stop},
};

impl Context {
    /// Writes the status and says what has changed.
    pub(super) async fn report(
        &self,
        platform: &TodoPlatform,
        assessment: &Assessment,
        memory: &mut Memory,
    ) -> Result<(), apply::WriteError> {
        let before = memory.status(platform);
        let after = status::assess(assessment, &before, platform.metadata.generation, Timestamp::now());
        let (namespace, name) = (platform.namespace().unwrap_or_default(), platform.name_any());
        for condition in &after.conditions {
            metrics::condition(&namespace, &name, &condition.type_, &condition.status);
        }
        if after == before {
            return Ok(());
        }
        let written = status::write::write(&self.client, platform.meta(), &after, &self.leadership).await?;
        metrics::written("status", 1);
        for notice in notices::of_conditions(&before.conditions, &after.conditions) {
            info!(%namespace, platform = %name, reason = %notice.reason, message = %notice.note, "changed");
            self.events.publish(platform, notice).await;
        }
        memory.written = Some((after, version(written.as_deref())));
        Ok(())
    }

    /// Says of a resource that cannot be read that it cannot, once for each change of it.
    pub(super) async fn tell_unreadable(&self, unreadable: &Unreadable, memory: &mut Memory) -> Action {
        metrics::error(Class::Invalid);
        let generation = unreadable.metadata.generation;
        if memory.told_unreadable == generation {
            return Action::await_change();
        }
        error!(platform = ?unreadable.metadata.name, error = %unreadable.error, "cannot read a TodoPlatform");
        let message = format!("the resource cannot be read: {}", unreadable.error);
        let assessment = Assessment::Stopped(Stop::Invalid(message));
        let status = status::assess(&assessment, &unreadable.status, generation, Timestamp::now());
        if status == unreadable.status {
            // By the operator before this one.
            memory.told_unreadable = generation;
            return Action::await_change();
        }
        match status::write::replace(&self.client, &unreadable.metadata, &status, &self.leadership).await {
            Ok(()) => {
                memory.told_unreadable = generation;
                Action::await_change()
            }
            Err(error) => {
                warn!(platform = ?unreadable.metadata.name, %error, "cannot write the status");
                Action::requeue(pace::FOR_A_PERSON)
            }
        }
    }
}
