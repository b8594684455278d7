//! Tells what a pass found: in the status, and what has changed by events, too.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt, core::ObjectMeta};
use todo_crds::platform::{TodoPlatform, TodoPlatformStatus};
use tracing::{error, info, warn};

use super::{Context, Unreadable, memory::Memory, notices, pace, queue::Action};
use crate::{
    apply,
    class::Class,
    resource_version::or_first,
    runtime::metrics,
    status::{self, Assessment, Stop},
};

/// Before the metrics of a platform that cannot be read are set again, which would be dropped otherwise.
const STILL_UNREADABLE: Duration = Duration::from_mins(1);

impl Context {
    /// Tells what a pass came to, unless that failed only just now. Returns how long to wait if it could not be told: what is
    /// to be repaired does not wait for that.
    pub(super) async fn tell(
        &self,
        platform: &TodoPlatform,
        assessment: &Assessment,
        memory: &mut Memory,
    ) -> Result<(), Duration> {
        let generation = platform.metadata.generation;
        if let Some(rest) = memory.telling.rest(generation, Instant::now()) {
            return Err(rest);
        }
        match self.report(platform, assessment, memory).await {
            Ok(()) => {
                memory.telling.succeed();
                Ok(())
            }
            Err(error) => {
                warn!(platform = %platform.name_any(), %error, "cannot write the status");
                metrics::error(error.class());
                Err(memory.telling.fail(generation, Instant::now()))
            }
        }
    }

    /// Writes the status and says what has changed.
    async fn report(
        &self,
        platform: &TodoPlatform,
        assessment: &Assessment,
        memory: &mut Memory,
    ) -> Result<(), apply::WriteError> {
        let before = memory.status(platform);
        let after = status::assess(assessment, &before, platform.metadata.generation, Timestamp::now());
        let (namespace, name) = (platform.namespace().unwrap_or_default(), platform.name_any());
        measure(platform.meta(), &after);
        if after == before {
            return Ok(());
        }
        let written = status::write::write(&self.client, platform.meta(), &after, &self.leadership).await?;
        metrics::written("status", 1);
        for notice in notices::of_conditions(&before.conditions, &after.conditions) {
            info!(%namespace, platform = %name, reason = %notice.reason, note = %notice.note, "changed");
            self.events.publish(platform, notice);
        }
        memory.written = Some((after, or_first(written.as_deref())));
        Ok(())
    }

    /// Says of a resource that cannot be read that it cannot: in its status once for each change of it, and in the metrics
    /// again and again.
    pub(super) async fn tell_unreadable(&self, unreadable: &Unreadable, memory: &mut Memory) -> Action {
        let generation = unreadable.metadata.generation;
        let message = format!("the resource cannot be read: {}", unreadable.error);
        let assessment = Assessment::Stopped(Stop::Invalid(message));
        let status = status::assess(&assessment, &unreadable.status, generation, Timestamp::now());
        measure(&unreadable.metadata, &status);
        if memory.told_unreadable == generation {
            return Action::requeue(STILL_UNREADABLE);
        }
        metrics::error(Class::Invalid);
        error!(platform = ?unreadable.metadata.name, error = %unreadable.error, "cannot read a TodoPlatform");
        if status == unreadable.status {
            // By the operator before this one.
            memory.told_unreadable = generation;
            return Action::requeue(STILL_UNREADABLE);
        }
        match status::write::replace(&self.client, &unreadable.metadata, &status, &self.leadership).await {
            Ok(()) => {
                memory.told_unreadable = generation;
                Action::requeue(STILL_UNREADABLE)
            }
            Err(error) => {
                warn!(platform = ?unreadable.metadata.name, %error, "cannot write the status");
                Action::requeue(pace::FOR_A_PERSON)
            }
        }
    }
}

/// Sets the gauges of a platform's conditions.
fn measure(platform: &ObjectMeta, status: &TodoPlatformStatus) {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let (namespace, name) = (name(&platform.namespace), name(&platform.name));
    for condition in &status.conditions {
        metrics::condition(&namespace, &name, &condition.type_, &condition.status);
    }
}
