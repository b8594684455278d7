//! What is written in a pass.

use std::time::Instant;

use kube::ResourceExt;
use todo_crds::platform::TodoPlatform;
use tracing::{Instrument, info};

use super::{
    Context,
    memory::{Memory, settled},
    notices, pace,
};
use crate::{
    apply::{self, Applied},
    build,
    dereference::{Dereferenced, cluster::Injector},
    names,
    observe::Infrastructure,
    plan::{self, Gates, Identity, Key, Live, Plan},
    runtime::{events::Notice, metrics, traces::step},
};

/// What came of a try to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The last pass failed only just now: nothing was looked at.
    NotNow,
    /// There was nothing to do.
    Nothing,
    /// What was to be done was tried.
    Something,
    /// Pods would have begun, and the Secrets that they read are remembered only: they have to be read first. Somebody else
    /// may have led meanwhile, and have begun those pods with newer ones.
    ReadFirst,
}

/// What a person should know once a plan is carried out.
struct News {
    /// That data of an earlier platform is used again.
    takeover: Option<Notice>,
    /// That all events come again.
    replay: Option<Notice>,
}

impl Context {
    /// Builds, plans and applies, unless the last pass failed only just now. What could not be written then waits for itself
    /// alone.
    pub(super) async fn write(
        &self,
        platform: &TodoPlatform,
        dereferenced: &Dereferenced,
        live: &Live,
        infrastructure: &Infrastructure,
        memory: &mut Memory,
    ) -> Written {
        if memory.backoff.is_waiting(platform.metadata.generation, Instant::now()) {
            return Written::NotNow;
        }
        let (identity, gates) = (identity(platform), self.gates(dereferenced, infrastructure));
        let inputs = settled::Inputs { generation: platform.metadata.generation, dereferenced, live, gates: &gates };
        if memory.settled.is_as_before(&inputs) {
            return Written::Nothing;
        }
        let (plan, news) = planned(platform, &inputs, &identity);
        if dereferenced.is_remembered() && plan.begins_pods() {
            memory.secrets.expire();
            return Written::ReadFirst;
        }
        for key in &plan.in_order {
            self.watches.note_verified(&key.kind, &live.objects[key]);
        }
        memory.fights.note_unchanged(&plan.in_order, Instant::now());
        let (is_idle, makes_secrets) = (plan.is_empty(), pace::makes_secrets(&plan));
        memory.settled.note(&inputs, is_idle);
        let plan = pace::nothing_twice(pace::secrets_first(plan), &memory.unseen, Instant::now());
        let writer = self.writer(&identity.namespace);
        let failed = memory.too_soon(platform.metadata.generation, Instant::now());
        let applied =
            apply::apply(&writer, &identity, plan, &failed, &mut memory.fights).instrument(step("apply")).await;
        for (key, uid) in &applied.gone {
            self.watches.forget(&identity.namespace, key, uid);
        }
        report(&identity, &applied);
        for notice in news.of(&applied, &mut memory.told_takeover) {
            self.events.publish(platform, notice);
        }
        memory.carried_out(applied, makes_secrets);
        if is_idle { Written::Nothing } else { Written::Something }
    }

    /// What would be done, were it not for `suspend`.
    pub(super) fn planned(
        &self,
        platform: &TodoPlatform,
        dereferenced: &Dereferenced,
        live: &Live,
        infrastructure: &Infrastructure,
    ) -> Plan {
        let gates = self.gates(dereferenced, infrastructure);
        let inputs = settled::Inputs { generation: platform.metadata.generation, dereferenced, live, gates: &gates };
        planned(platform, &inputs, &identity(platform)).0
    }

    fn gates(&self, dereferenced: &Dereferenced, infrastructure: &Infrastructure) -> Gates {
        let cluster = self.watches.cluster().borrow().clone();
        let injects = matches!(cluster.injector, Injector::Ready { .. } | Injector::Unknown);
        Gates {
            missing_secrets: dereferenced.missing.iter().map(|missing| missing.secret.clone()).collect(),
            dapr_ready: injects && cluster.missing_dapr_kinds().is_empty(),
            infrastructure_ready: infrastructure.is_ready(),
        }
    }
}

fn planned(platform: &TodoPlatform, inputs: &settled::Inputs<'_>, identity: &Identity) -> (Plan, News) {
    let live: &Live = inputs.live;
    let desired = step("build").in_scope(|| build::desired(&inputs.dereferenced.resolved));
    let plan = step("plan").in_scope(|| plan::plan(&desired, live, identity, inputs.gates));
    let is_new = platform.status.as_ref().is_none_or(|status| status.observed_generation.is_none());
    let created = platform.metadata.creation_timestamp.as_ref().filter(|_| is_new);
    let takeover = notices::of_takeover(&desired, live, identity, created);
    (plan, News { takeover, replay: notices::of_consumer_group(&desired, live) })
}

impl News {
    /// What there is to tell of what was really done. Every pass before the first status finds that data is taken over.
    fn of(self, applied: &Applied, told_takeover: &mut bool) -> Vec<Notice> {
        let is_pubsub = |key: &Key| key.kind == "Component" && key.name == names::PUBSUB;
        let replay = self.replay.filter(|_| applied.written.iter().any(is_pubsub));
        let takeover = self.takeover.filter(|_| !*told_takeover && !applied.written.is_empty());
        *told_takeover |= takeover.is_some();
        takeover.into_iter().chain(replay).chain(notices::of_conflicts(&applied.conflicts)).collect()
    }
}

/// Counts and logs what was done.
fn report(identity: &Identity, applied: &Applied) {
    metrics::written("applied", applied.written.len());
    metrics::written("removed", applied.removed.len());
    metrics::conflicts(applied.conflicts.len());
    if !applied.written.is_empty() || !applied.removed.is_empty() {
        let (written, removed) = (texts(&applied.written), texts(&applied.removed));
        info!(namespace = %identity.namespace, platform = %identity.name, %written, %removed, "applied");
    }
}

fn identity(platform: &TodoPlatform) -> Identity {
    Identity {
        namespace: platform.namespace().unwrap_or_default(),
        name: platform.name_any(),
        uid: platform.uid().unwrap_or_default(),
    }
}

fn texts(keys: &[Key]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_of_what_was_not_written_nor_twice_of_data_that_is_taken_over() {
        let notice = |reason: &str| {
            Some(Notice {
                warning: false,
                reason: reason.to_owned(),
                action: "Apply",
                about: None,
                note: String::new(),
            })
        };
        let mut told_takeover = false;
        let mut told = |written: &[(&str, &str)]| {
            let key = |(kind, name): &(&str, &str)| Key { kind: (*kind).to_owned(), name: (*name).to_owned() };
            let applied = Applied { written: written.iter().map(key).collect(), ..Applied::default() };
            let news = News { takeover: notice("DataTakenOver"), replay: notice("EventsReplayed") };
            news.of(&applied, &mut told_takeover).into_iter().map(|notice| notice.reason).collect::<Vec<_>>()
        };
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&[("ConfigMap", "x")]), ["DataTakenOver"]);
        assert_eq!(told(&[("Component", names::PUBSUB)]), ["EventsReplayed"], "the other one was told before");
    }
}
