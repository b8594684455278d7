//! What is around a pass over one platform, so that it disturbs no other. The steps of a pass are in [`super::pass`].
//!
//! Nothing that an earlier pass did is taken for granted, so a pass that was cut off anywhere is simply begun again.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Resource, ResourceExt};
use todo_crds::platform::TodoPlatform;
use tracing::{Instrument, Span, error};

use super::{
    Context, Guarded,
    isolation::{Cut, contained},
    memory::{Memory, backoff},
    pace,
    queue::Action,
};
use crate::{
    class::Class,
    runtime::{
        metrics,
        traces::{self, step},
    },
    status::{Assessment, Stop},
};

/// How long a pass may take before it is cut off.
const DEADLINE: Duration = Duration::from_secs(90);

/// A pass, with everything around it that keeps one platform from disturbing others. It never fails: what went wrong is
/// in the status, and when it is tried again in the answer.
pub(super) async fn reconcile(platform: Arc<Guarded>, context: Arc<Context>) -> Action {
    if let Some(wait) = pace::not_now(context.leadership.is_leader(), context.watches.may_begin()) {
        return Action::requeue(wait);
    }
    let uid = platform.meta().uid.clone().unwrap_or_default();
    let memory = context.memories.of(&uid, || context.known_uids());
    let mut memory = memory.lock().await;
    let platform = match platform.read() {
        Ok(platform) => Box::new(platform),
        Err(unreadable) => return context.tell_unreadable(&unreadable, &mut memory).await,
    };
    if platform.metadata.deletion_timestamp.is_some() {
        return Action::await_change();
    }
    let span =
        traces::pass(&platform.namespace().unwrap_or_default(), &platform.name_any(), platform.metadata.generation);
    pass_over(&platform, &context, &mut memory).instrument(span).await
}

/// The pass itself and what follows from it.
async fn pass_over(platform: &TodoPlatform, context: &Context, memory: &mut Memory) -> Action {
    memory.forget_seen(platform);
    let place = context.places.take().await;
    let begun = Instant::now();
    let assessment = match contained(DEADLINE, Box::pin(context.pass(platform, memory, place))).await {
        Ok(assessment) => assessment,
        Err(Cut::Late) => {
            failed(Class::Transient, format!("a pass took longer than {} s and was cut off", DEADLINE.as_secs()))
        }
        Err(Cut::Panicked) => {
            failed(Class::Bug, "a mistake in the operator ended the pass; its log says where".to_owned())
        }
    };
    let result = result(&assessment);
    metrics::reconciled(result, begun.elapsed());
    traces::passed(&Span::current(), result, matches!(result, "ok" | "suspended"));
    if let Some(last_success) = memory.last_success {
        let namespace = platform.namespace().unwrap_or_default();
        metrics::data_path_age(&namespace, &platform.name_any(), last_success.elapsed());
    }
    if let Some(wait) = pace::tell_later(&assessment, memory, was_told(platform), Instant::now()) {
        memory.untold = memory.untold.saturating_add(u8::from(memory.made_secrets));
        memory.backoff.succeed();
        memory.retries.succeed();
        return Action::requeue(wait);
    }
    (memory.untold, memory.has_told) = (0, true);
    let failed = memory.note_result(&assessment, platform.metadata.generation, Instant::now());
    let next = backoff::jittered(failed.unwrap_or_else(|| pace::next(&assessment, memory.made_secrets)));
    let told = context.tell(platform, &assessment, memory).instrument(step("status")).await;
    Action::requeue(told.err().unwrap_or(next))
}

impl Context {
    pub(super) fn known_uids(&self) -> HashSet<String> {
        self.platforms.state().iter().filter_map(|platform| platform.meta().uid.clone()).collect()
    }
}

/// Whether its status says something about the spec of now.
fn was_told(platform: &TodoPlatform) -> bool {
    let told = platform.status.as_ref().and_then(|status| status.observed_generation);
    told.is_some() && told == platform.metadata.generation
}

/// A pass that came to nothing.
pub(super) fn failed(class: Class, message: String) -> Assessment {
    metrics::error(class);
    error!(%class, error = %message, "a pass failed");
    Assessment::Stopped(Stop::Failed { reason: class.reason().to_owned(), message })
}

const fn result(assessment: &Assessment) -> &'static str {
    match assessment {
        Assessment::Observed(observed) if observed.secrets_unreadable.is_some() => "secrets_unreadable",
        Assessment::Observed(observed) if observed.applied.failures.is_empty() => "ok",
        Assessment::Observed(_) => "write_failed",
        Assessment::Suspended(_) => "suspended",
        Assessment::Stopped(Stop::Conflict { .. }) => "conflict",
        Assessment::Stopped(Stop::Invalid(_)) => "invalid",
        Assessment::Stopped(Stop::Failed { .. }) => "failed",
    }
}
