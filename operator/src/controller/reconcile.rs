//! One pass over one platform: dereference, validate, build, plan, apply, observe, status.
//!
//! Nothing that an earlier pass did is taken for granted, so a pass that was cut off anywhere is simply begun again.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, ResourceExt};
use kube_runtime::reflector::ObjectRef;
use todo_crds::platform::TodoPlatform;
use tracing::{Instrument, Span, error, info, warn};

use super::{
    Context, Guarded,
    isolation::{Cut, contained},
    memory::Memory,
    notices, pace,
    queue::Action,
    settled,
};
use crate::{
    apply::{self, Writer, topics},
    build::{self, Desired},
    class::Class,
    dereference::{self, DereferenceError, Dereferenced, cluster::Injector},
    names::App,
    observe::{self, DataPath, Infrastructure, Observed},
    plan::{self, Gates, Identity, Key, Live},
    resolve::KafkaMode,
    runtime::{
        events::Notice,
        metrics,
        traces::{self, step},
    },
    status::{Assessment, Stop},
};

/// How long a pass may take before it is cut off.
const DEADLINE: Duration = Duration::from_secs(90);

/// What the watches know of one platform.
struct Seen {
    live: Live,
    pods: Vec<Arc<Pod>>,
}

/// A pass, with everything around it that keeps one platform from disturbing others. It never fails: what went wrong is
/// in the status, and when it is tried again in the answer.
pub(super) async fn reconcile(platform: Arc<Guarded>, context: Arc<Context>) -> Action {
    if let Some(wait) = pace::not_now(context.leadership.is_leader(), context.watches.may_begin()) {
        return Action::requeue(wait);
    }
    let uid = platform.meta().uid.clone().unwrap_or_default();
    let memory = context.memories.of(&uid, || context.known_uids());
    let mut memory = memory.lock().await;
    let platform = match &platform.0 {
        Ok(platform) => platform,
        Err(unreadable) => return context.tell_unreadable(unreadable, &mut memory).await,
    };
    if platform.metadata.deletion_timestamp.is_some() {
        return Action::await_change();
    }
    let span =
        traces::pass(&platform.namespace().unwrap_or_default(), &platform.name_any(), platform.metadata.generation);
    pass_over(platform, &context, &mut memory).instrument(span).await
}

/// The pass itself and what follows from it.
async fn pass_over(platform: &TodoPlatform, context: &Context, memory: &mut Memory) -> Action {
    memory.forget_seen(platform);
    let begun = Instant::now();
    let assessment = match contained(DEADLINE, Box::pin(context.pass(platform, memory))).await {
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
    if let Some(wait) = pace::tell_later(&assessment, memory, was_told(platform)) {
        memory.untold = memory.untold.saturating_add(u8::from(memory.made_secrets));
        memory.backoff.succeed();
        return Action::requeue(wait);
    }
    (memory.untold, memory.has_told) = (0, true);
    if let Err(error) = context.report(platform, &assessment, memory).instrument(step("status")).await {
        warn!(platform = %platform.name_any(), %error, "cannot write the status");
        metrics::error(error.class());
        let wait = memory.backoff.fail(platform.metadata.generation, Instant::now());
        return Action::requeue(wait);
    }
    Action::requeue(pace::jittered(pace::next(&assessment, memory, platform.metadata.generation)))
}

impl Context {
    /// The steps of a pass.
    async fn pass(&self, platform: &TodoPlatform, memory: &mut Memory) -> Assessment {
        if let Some(other) = self.elder(platform) {
            return Assessment::Stopped(Stop::Conflict { other });
        }
        memory.made_secrets = false;
        let read = dereference::dereference(&self.client, platform, &self.settings, &mut memory.secrets);
        let mut found = read.instrument(step("dereference")).await;
        let mut unreadable = None;
        if let Err(DereferenceError::Secrets(error)) = found {
            metrics::error(error.class);
            warn!(platform = %platform.name_any(), %error, "looking only");
            unreadable = Some(error.to_string());
            found = dereference::remember(platform, &self.settings, &memory.secrets);
        }
        let dereferenced = match found {
            Ok(dereferenced) => dereferenced,
            Err(DereferenceError::Invalid(violations)) => return invalid(&violations),
            Err(DereferenceError::Secrets(error)) => return failed(error.class, error.to_string()),
        };
        let suspended = platform.spec.suspend == Some(true);
        let writes = !suspended && unreadable.is_none();
        let mut seen = self.look(&dereferenced, memory).await;
        let infrastructure =
            step("infrastructure").in_scope(|| self.infrastructure(platform, &dereferenced, &seen, writes, memory));
        if writes && self.write(platform, &dereferenced, &seen.live, &infrastructure, memory).await {
            seen = self.look(&dereferenced, memory).await;
        }
        let observed = self.observe(dereferenced, &seen, infrastructure, memory);
        let mut observed = Box::new(observed.instrument(step("observe")).await);
        observed.secrets_unreadable = unreadable;
        if suspended {
            return Assessment::Suspended(observed);
        }
        self.repair(&observed, platform, memory).await;
        Assessment::Observed(observed)
    }

    /// What the watches know of the platform's namespace, with what its containers said at last.
    async fn look(&self, dereferenced: &Dereferenced, memory: &mut Memory) -> Seen {
        let namespace = &dereferenced.resolved.namespace;
        let live = Live { secrets: dereferenced.secrets.clone(), ..self.watches.live(namespace) };
        let pods = memory.last_words.fill_in(&self.client, namespace, self.watches.pods(namespace)).await;
        Seen { live, pods }
    }

    /// Builds, plans and applies, unless the last try failed only just now. Answers whether there was something to do.
    async fn write(
        &self,
        platform: &TodoPlatform,
        dereferenced: &Dereferenced,
        live: &Live,
        infrastructure: &Infrastructure,
        memory: &mut Memory,
    ) -> bool {
        if memory.backoff.is_waiting(platform.metadata.generation, Instant::now()) {
            return false;
        }
        let resolved = &dereferenced.resolved;
        let identity = identity(platform);
        let gates = self.gates(dereferenced, infrastructure);
        let inputs = settled::Inputs { generation: platform.metadata.generation, dereferenced, live, gates: &gates };
        if memory.settled.is_as_before(&inputs) {
            return false;
        }
        let (plan, notices) = {
            let desired = step("build").in_scope(|| build::desired(resolved));
            let plan = step("plan").in_scope(|| plan::plan(&desired, live, &identity, &gates));
            (plan, foretold(platform, &desired, live, &identity))
        };
        for (key, version) in &plan.in_order {
            self.watches.verified(&identity.namespace, key, version);
        }
        memory.fights.stayed(plan.in_order.iter().map(|(key, _)| key), Instant::now());
        let is_idle = plan.is_empty();
        memory.settled.note(&inputs, is_idle && plan.in_order.is_empty());
        let makes_secrets = pace::makes_secrets(&plan);
        let plan = pace::secrets_first(plan);
        for notice in notices {
            self.events.publish(platform, notice).await;
        }
        let writer = self.writer(&identity.namespace);
        let applied = apply::apply(&writer, &identity, plan, &mut memory.fights).instrument(step("apply")).await;
        if applied.secrets_changed {
            memory.secrets.expire();
        }
        let versions = applied.written.iter().filter_map(|key| Some((key.clone(), memory.fights.version(key)?)));
        memory.unseen.wrote(versions, Instant::now());
        memory.made_secrets = makes_secrets && applied.written.iter().any(|key| key.kind == "Secret");
        metrics::written("applied", applied.written.len());
        metrics::written("removed", applied.removed.len());
        if !applied.written.is_empty() || !applied.removed.is_empty() {
            let (written, removed) = (texts(&applied.written), texts(&applied.removed));
            info!(namespace = %identity.namespace, platform = %identity.name, %written, %removed, "applied");
        }
        for (key, uid) in &applied.gone {
            self.watches.forget(&identity.namespace, key, uid);
        }
        metrics::conflicts(applied.conflicts.len());
        for notice in notices::of_conflicts(&applied.conflicts) {
            self.events.publish(platform, notice).await;
        }
        memory.applied = applied;
        !is_idle
    }

    /// What of Kafka and PostgreSQL is there, the topics included.
    fn infrastructure(
        &self,
        platform: &TodoPlatform,
        dereferenced: &Dereferenced,
        seen: &Seen,
        writes: bool,
        memory: &mut Memory,
    ) -> Infrastructure {
        let resolved = &dereferenced.resolved;
        let parts = observe::parts(resolved, &seen.live, &seen.pods);
        let broker_runs = match resolved.kafka.mode {
            KafkaMode::Embedded(_) => parts.get(crate::names::KAFKA).is_some_and(|part| part.rollout.is_serving()),
            KafkaMode::External(_) => dereferenced.missing.is_empty(),
            KafkaMode::Strimzi(_) => false,
        };
        let topics = if matches!(resolved.kafka.mode, KafkaMode::Strimzi(_)) {
            // Part of what is said about Kafka itself.
            topics::Topics::Present
        } else if broker_runs && self.leadership.is_leader() {
            let incarnation = observe::broker_incarnation(&seen.pods);
            let maker = writes.then_some(&self.leadership);
            let answered = self.set_off(ObjectRef::new(&platform.name_any()).within(&resolved.namespace));
            topics::ensure(&self.client, resolved, &incarnation, maker, &mut memory.topics, answered)
        } else {
            // What is not asked is not waited for.
            memory.topics = topics::TopicsMemory::default();
            topics::Topics::Unknown
        };
        let external_kafka = matches!(resolved.kafka.mode, KafkaMode::External(_));
        let cluster = self.watches.cluster().borrow().clone();
        let mut missing = observe::managed::needed(resolved);
        missing.retain(|other| !cluster.missing(other.kinds).is_empty());
        if !missing.is_empty() {
            self.watches.hurry();
        }
        Infrastructure { parts, missing, topics, external_kafka }
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

    async fn observe(
        &self,
        dereferenced: Dereferenced,
        seen: &Seen,
        infrastructure: Infrastructure,
        memory: &mut Memory,
    ) -> Observed {
        let (resolved, Seen { live, pods }) = (dereferenced.resolved, seen);
        memory.unseen.look(live);
        let services = observe::services(&resolved, live, pods);
        let (daprd, data_path) = (&mut memory.daprd, &mut memory.data_path);
        let (components, data_path) = observe::ask(&self.http, &resolved, &services, pods, daprd, data_path).await;
        if let DataPath::Verified { latency_ms, .. } = data_path {
            metrics::data_path_latency(latency_ms);
        }
        memory.last_success = data_path.last_success(Instant::now()).or(memory.last_success);
        Observed {
            missing_secrets: dereferenced.missing,
            secrets_unreadable: None,
            cluster: self.watches.cluster().borrow().clone(),
            infrastructure,
            components,
            services,
            data_path,
            applied: memory.applied.clone(),
            disputes: memory.fights.disputes(Instant::now()),
            unauthenticated: true,
            url: observe::url(&resolved),
        }
    }

    /// Deletes a pod that has no sidecar, if it is time for that.
    async fn repair(&self, observed: &Observed, platform: &TodoPlatform, memory: &mut Memory) {
        let namespace = platform.namespace().unwrap_or_default();
        for service in &observed.services {
            let injector = &observed.cluster.injector;
            let Some(name) = memory.repairs.due(service.app, &service.without_sidecar, injector, Instant::now()) else {
                continue;
            };
            let pods = self.watches.pods(&namespace);
            let Some(uid) = pods.iter().find(|pod| pod.name_any() == name).and_then(|pod| pod.uid()) else { continue };
            let resource = kube::core::ApiResource::erase::<Pod>(&());
            match self.writer(&namespace).delete(&resource, &name, &uid).await {
                Ok(_) => {
                    metrics::repaired();
                    info!(pod = %name, "deleted, as it has no sidecar");
                    self.events.publish(platform, repaired(service.app, &name)).await;
                }
                Err(error) => warn!(pod = %name, %error, "cannot delete a pod without sidecar"),
            }
        }
    }

    /// The platform that has the namespace, if it is another one: the oldest.
    fn elder(&self, platform: &TodoPlatform) -> Option<String> {
        let namespace = platform.namespace();
        let age =
            |meta: &kube::core::ObjectMeta| (meta.creation_timestamp.clone().map(|time| time.0), meta.uid.clone());
        let others = self.platforms.state_filter(|other| other.meta().namespace == namespace);
        let oldest = others.iter().min_by_key(|other| age(other.meta()))?;
        (oldest.meta().uid != platform.meta().uid && age(oldest.meta()) < age(platform.meta()))
            .then(|| oldest.meta().name.clone().unwrap_or_default())
    }

    fn writer(&self, namespace: &str) -> Writer {
        Writer::new(self.client.clone(), namespace, self.leadership.clone(), self.lanes.clone())
    }

    fn known_uids(&self) -> HashSet<String> {
        self.platforms.state().iter().filter_map(|platform| platform.meta().uid.clone()).collect()
    }
}

/// Whether its status says something about the spec of now.
fn was_told(platform: &TodoPlatform) -> bool {
    let told = platform.status.as_ref().and_then(|status| status.observed_generation);
    told.is_some() && told == platform.metadata.generation
}

fn identity(platform: &TodoPlatform) -> Identity {
    Identity {
        namespace: platform.namespace().unwrap_or_default(),
        name: platform.name_any(),
        uid: platform.uid().unwrap_or_default(),
    }
}

/// What a person should know before a plan is carried out.
fn foretold(platform: &TodoPlatform, desired: &Desired, live: &Live, identity: &Identity) -> Vec<Notice> {
    let is_new = platform.status.as_ref().is_none_or(|status| status.observed_generation.is_none());
    let takeover = is_new.then(|| notices::of_takeover(desired, live, identity)).flatten();
    takeover.into_iter().chain(notices::of_consumer_group(desired, live)).collect()
}

fn repaired(app: App, pod: &str) -> Notice {
    Notice {
        warning: true,
        reason: "SidecarMissing".to_owned(),
        action: "DeletePod",
        note: format!("pod {pod} of {app} had no sidecar and was deleted, so that a new one gets one"),
    }
}

fn texts(keys: &[Key]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn invalid(violations: &[crate::resolve::Violation]) -> Assessment {
    let parts: Vec<String> = violations.iter().map(ToString::to_string).collect();
    Assessment::Stopped(Stop::Invalid(parts.join("; ")))
}

fn failed(class: Class, message: String) -> Assessment {
    metrics::error(class);
    error!(%class, %message, "a pass failed");
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
