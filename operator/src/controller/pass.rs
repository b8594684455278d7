//! The steps of a pass: dereference, validate, build, plan, apply, topics, observe.

use std::{sync::Arc, time::Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, ResourceExt};
use kube_runtime::reflector::ObjectRef;
use todo_crds::platform::TodoPlatform;
use tracing::{Instrument, info, warn};

use super::{
    Context,
    isolation::Place,
    memory::{Memory, holders::Claim},
    reconcile::failed,
    write::Written,
};
use crate::{
    apply::{Applied, Writer},
    dereference::{self, DereferenceError, Dereferenced},
    names::App,
    observe::{self, DataPath, Infrastructure, Observed, managed},
    plan::{Key, Live},
    resolve::{KafkaMode, Resolved, Violation},
    runtime::{events::Notice, metrics, traces::step},
    status::{Assessment, Stop},
    topics::{self, Topics, TopicsMemory},
};

/// What the watches know of one platform.
struct Seen {
    live: Live,
    pods: Vec<Arc<Pod>>,
}

/// What a pass has found and done before it asks the pods.
struct Worked {
    dereferenced: Dereferenced,
    seen: Seen,
    infrastructure: Infrastructure,
    /// Why Secrets cannot be read, if they cannot.
    unreadable: Option<String>,
    /// Whether anything may be written, and pods be deleted.
    writes: bool,
}

impl Context {
    /// A pass. Pods are asked without a place: whole nodes may be silent.
    pub(super) async fn pass(&self, platform: &TodoPlatform, memory: &mut Memory, place: Place<'_>) -> Assessment {
        let worked = match place.work(Box::pin(self.work(platform, memory))).await {
            Ok(worked) => worked,
            Err(stopped) => return stopped,
        };
        let writes = worked.writes;
        let observed = Box::new(self.observe(platform, worked, memory).instrument(step("observe")).await);
        if is_suspended(platform) {
            return Assessment::Suspended(observed);
        }
        if writes {
            self.repair(&observed, platform, memory).await;
        }
        Assessment::Observed(observed)
    }

    /// Reads what the platform names, and writes what it should have.
    async fn work(&self, platform: &TodoPlatform, memory: &mut Memory) -> Result<Worked, Assessment> {
        if let Some(other) = self.holder(platform) {
            return Err(Assessment::Stopped(Stop::Conflict { other }));
        }
        memory.made_secrets = false;
        loop {
            let (dereferenced, unreadable) = self.dereferenced(platform, memory).await?;
            let writes = !is_suspended(platform) && unreadable.is_none() && self.watches.platforms_are_known();
            let mut seen = self.look(&dereferenced, memory).await;
            let mut infrastructure = self.infrastructure(platform, &dereferenced, &seen, writes, memory);
            if is_suspended(platform) {
                // What failed when it was last tried may be over, and nobody tries it now.
                let plan = self.planned(platform, &dereferenced, &seen.live, &infrastructure);
                memory.applied = Applied::without_a_try(plan);
            }
            if writes {
                let written = self.write(platform, &dereferenced, &seen.live, &infrastructure, memory).await;
                if matches!(written, Written::Nothing | Written::Something) {
                    memory.planned_for = platform.metadata.generation;
                }
                match written {
                    Written::NotNow | Written::Nothing => {}
                    Written::Something => {
                        seen = self.look(&dereferenced, memory).await;
                        // Else what was just made would be told of as not made yet.
                        infrastructure = self.infrastructure(platform, &dereferenced, &seen, writes, memory);
                    }
                    // What was just read is not asked for again, so this comes once.
                    Written::ReadFirst => continue,
                }
            }
            return Ok(Worked { dereferenced, seen, infrastructure, unreadable, writes });
        }
    }

    /// The platform with all that it names, and why the Secrets among it are those of a pass before, if they are.
    async fn dereferenced(
        &self,
        platform: &TodoPlatform,
        memory: &mut Memory,
    ) -> Result<(Dereferenced, Option<String>), Assessment> {
        let read = dereference::dereference(&self.client, platform, &self.settings, &mut memory.secrets);
        let (found, unreadable) = match read.instrument(step("dereference")).await {
            Err(DereferenceError::Secrets(error)) => {
                metrics::error(error.class);
                warn!(platform = %platform.name_any(), %error, "looking only");
                (dereference::remember(platform, &self.settings, &memory.secrets), Some(error.to_string()))
            }
            found => (found, None),
        };
        match found {
            Ok(dereferenced) => Ok((dereferenced, unreadable)),
            Err(DereferenceError::Invalid(violations)) => Err(invalid(&violations)),
            Err(DereferenceError::Secrets(error)) => Err(failed(error.class, error.to_string())),
        }
    }

    /// What the watches know of the platform's namespace, with what its containers said at last.
    async fn look(&self, dereferenced: &Dereferenced, memory: &mut Memory) -> Seen {
        let namespace = &dereferenced.resolved.namespace;
        let mut live = Live { secrets: dereferenced.secrets.clone(), ..self.watches.live(namespace) };
        live.outdated = memory.unseen.look(&live, Instant::now());
        let pods = memory.last_words.fill_in(&self.client, namespace, self.watches.pods(namespace)).await;
        Seen { live, pods }
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
        let _span = step("infrastructure").entered();
        let resolved = &dereferenced.resolved;
        let parts = observe::parts(resolved, &seen.live, &seen.pods);
        let broker_runs = match resolved.kafka.mode {
            KafkaMode::Embedded(_) => parts.get(crate::names::KAFKA).is_some_and(|part| part.rollout.is_serving()),
            KafkaMode::External(_) => dereferenced.can_ask_broker(),
            KafkaMode::Strimzi(_) => false,
        };
        let topics = if matches!(resolved.kafka.mode, KafkaMode::Strimzi(_)) {
            // Part of what is said about Kafka itself.
            Topics::Present
        } else if broker_runs {
            self.topics(platform, dereferenced, seen, writes, &mut memory.topics)
        } else {
            // What is not asked is not waited for.
            memory.topics = TopicsMemory::default();
            Topics::Unknown
        };
        let account = resolved.kafka.account();
        Infrastructure { parts, missing: self.missing_operators(resolved), topics, account }
    }

    /// What the broker has been found to have. An answer that comes later sets off a pass.
    fn topics(
        &self,
        platform: &TodoPlatform,
        dereferenced: &Dereferenced,
        seen: &Seen,
        writes: bool,
        memory: &mut TopicsMemory,
    ) -> Topics {
        let resolved = &dereferenced.resolved;
        let incarnation = observe::broker_incarnation(&seen.pods);
        let answered = self.set_off(ObjectRef::new(&platform.name_any()).within(&resolved.namespace));
        let asked = topics::Asked {
            client: &self.client,
            values: dereferenced.broker.as_ref(),
            leadership: &self.leadership,
            makes: writes,
        };
        topics::ensure(&asked, resolved, &incarnation, memory, answered)
    }

    /// Other operators that are needed and not installed. They are looked for sooner then.
    fn missing_operators(&self, resolved: &Resolved) -> Vec<managed::Other> {
        let cluster = self.watches.cluster().borrow().clone();
        let mut missing = managed::needed(resolved);
        missing.retain(|other| !cluster.missing(other.kinds).is_empty());
        if !missing.is_empty() {
            self.watches.hurry();
        }
        missing
    }

    async fn observe(&self, platform: &TodoPlatform, worked: Worked, memory: &mut Memory) -> Observed {
        let Worked { dereferenced, seen: Seen { live, pods }, infrastructure, unreadable, writes: _ } = worked;
        let resolved = dereferenced.resolved;
        let services = observe::services(&resolved, &live, &pods, &memory.status(platform).services);
        let (daprd, data_path) = (&mut memory.daprd, &mut memory.data_path);
        let (components, data_path) = observe::ask(&self.http, &resolved, &services, &pods, daprd, data_path).await;
        if let DataPath::Verified { latency_ms, .. } = data_path {
            metrics::data_path_latency(latency_ms);
        }
        memory.last_success = data_path.last_success(Instant::now()).or(memory.last_success);
        Observed {
            missing_secrets: dereferenced.missing,
            secrets_unreadable: unreadable,
            is_planned: memory.planned_for == platform.metadata.generation,
            cluster: self.watches.cluster().borrow().clone(),
            infrastructure,
            components,
            services,
            data_path,
            applied: memory.applied.clone(),
            disputes: memory.fights.disputes(Instant::now()),
            unauthenticated: true,
            unused_ai: resolved.ai.is_some(),
            url: observe::url(&resolved),
        }
    }

    /// Deletes a pod that has no sidecar, if it is time for that.
    async fn repair(&self, observed: &Observed, platform: &TodoPlatform, memory: &mut Memory) {
        let namespace = platform.namespace().unwrap_or_default();
        for service in &observed.services {
            let injector = &observed.cluster.injector;
            let Some(name) = memory.repairs.take_due(service.app, &service.without_sidecar, injector, Instant::now())
            else {
                continue;
            };
            let pods = self.watches.pods(&namespace);
            let Some(uid) = pods.iter().find(|pod| pod.name_any() == name).and_then(|pod| pod.uid()) else { continue };
            let resource = kube::core::ApiResource::erase::<Pod>(&());
            match self.writer(&namespace).delete(&resource, &name, &uid).await {
                Ok(_) => {
                    metrics::repaired();
                    info!(pod = %name, "deleted, as it has no sidecar");
                    self.events.publish(platform, repaired(service.app, &name));
                }
                Err(error) => warn!(pod = %name, %error, "cannot delete a pod without sidecar"),
            }
        }
    }

    /// The platform that has the namespace, if it is another one.
    fn holder(&self, platform: &TodoPlatform) -> Option<String> {
        let namespace = platform.namespace().unwrap_or_default();
        let all = self.platforms.state_filter(|other| other.meta().namespace == platform.metadata.namespace);
        // Looked at only where somebody disputes it.
        let live = if all.len() > 1 { self.watches.live(&namespace) } else { Live::default() };
        let claims = all.iter().map(|one| Claim::of(one.meta(), &live)).collect();
        let holder = self.holders.holder(&namespace, claims, || self.known_uids())?;
        (Some(&holder.uid) != platform.metadata.uid.as_ref()).then_some(holder.name)
    }

    pub(super) fn writer(&self, namespace: &str) -> Writer {
        Writer::new(self.client.clone(), namespace, self.leadership.clone(), self.lanes.clone())
    }
}

fn is_suspended(platform: &TodoPlatform) -> bool {
    platform.spec.suspend == Some(true)
}

fn invalid(violations: &[Violation]) -> Assessment {
    let parts: Vec<String> = violations.iter().map(ToString::to_string).collect();
    Assessment::Stopped(Stop::Invalid(parts.join("; ")))
}

fn repaired(app: App, pod: &str) -> Notice {
    Notice {
        warning: true,
        reason: "SidecarMissing".to_owned(),
        action: "DeletePod",
        about: Some(Key { kind: "Pod".to_owned(), name: pod.to_owned() }),
        note: format!("pod {pod} of {app} had no sidecar and was deleted, so that a new one gets one"),
    }
}
