//! What is remembered of each platform between passes. All of it may be lost: it saves work and holds back repetition,
//! but nothing that is made depends on it.

pub(super) mod backoff;
pub(super) mod holders;
pub(super) mod settled;
pub(super) mod unseen;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use todo_crds::platform::{TodoPlatform, TodoPlatformStatus};

use crate::{
    apply::{Applied, Failure, Fights},
    dereference::SecretsRead,
    observe::{DaprdMemory, DataPathMemory, LastWords, sidecar::Repairs},
    resource_version::or_first,
    status::{Assessment, Stop},
    topics::TopicsMemory,
};
use backoff::Backoff;
use settled::Settled;
use unseen::Unseen;

/// What is remembered of one platform.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Secrets as last read.
    pub(super) secrets: SecretsRead,
    /// Conflicts with other field managers.
    pub(super) fights: Fights,
    /// Whether the topics are there.
    pub(super) topics: TopicsMemory,
    /// Answers of sidecars.
    pub(super) daprd: DaprdMemory,
    /// Answers of backends.
    pub(super) data_path: DataPathMemory,
    /// What containers said before they ended.
    pub(super) last_words: LastWords,
    /// Pods deleted for want of a sidecar.
    pub(super) repairs: Repairs,
    /// Passes in a row that failed.
    pub(super) backoff: Backoff,
    /// Statuses in a row that could not be written.
    pub(super) telling: Backoff,
    /// Passes in a row that could not write all.
    pub(super) retries: Backoff,
    /// What became of the last plan.
    pub(super) applied: Applied,
    /// Generation of the spec that the last plan was made from.
    pub(super) planned_for: Option<i64>,
    /// What was looked at when nothing was to be done.
    pub(super) settled: Settled,
    /// Whether this pass made Secrets. What is built from them comes in the next one, which has read them.
    pub(super) made_secrets: bool,
    /// What was written and the watches have not brought yet.
    pub(super) unseen: Unseen,
    /// Whether it was told that data of an earlier platform is used again.
    pub(super) told_takeover: bool,
    /// Passes in a row that left the status to the next one, as they made Secrets.
    pub(super) untold: u8,
    /// Whether this process has told, or found told, what it knows.
    pub(super) has_told: bool,
    /// When an event last came the whole way.
    pub(super) last_success: Option<Instant>,
    /// The status as last written, and the version of the resource that it made.
    pub(super) written: Option<(TodoPlatformStatus, u64)>,
    /// Generation of an unreadable resource that this was already said of.
    pub(super) told_unreadable: Option<i64>,
}

impl Memory {
    /// Forgets the status that was written, once the watch has brought it.
    pub(super) fn forget_seen(&mut self, platform: &TodoPlatform) {
        let seen = or_first(platform.metadata.resource_version.as_deref());
        self.written.take_if(|(_, version)| *version <= seen);
    }

    /// What could not be written lately, and is not to be tried again yet.
    pub(super) fn too_soon(&self, generation: Option<i64>, now: Instant) -> Vec<Failure> {
        let waits = self.retries.is_waiting(generation, now);
        if waits { self.applied.failures.clone() } else { Vec::new() }
    }

    /// Notes how a pass went. Answers how long to wait for the next one if it came to nothing.
    pub(super) fn note_result(
        &mut self,
        assessment: &Assessment,
        generation: Option<i64>,
        now: Instant,
    ) -> Option<Duration> {
        match assessment {
            Assessment::Observed(observed) => {
                self.backoff.succeed();
                if observed.applied.failures.is_empty() {
                    self.retries.succeed();
                } else {
                    self.retries.fail(generation, now);
                }
                None
            }
            Assessment::Suspended(_) => {
                self.backoff.succeed();
                None
            }
            Assessment::Stopped(Stop::Failed { .. }) => Some(self.backoff.fail(generation, now)),
            Assessment::Stopped(Stop::Conflict { .. } | Stop::Invalid(_)) => None,
        }
    }

    /// Notes what became of a plan, which may have made Secrets.
    pub(super) fn carried_out(&mut self, applied: Applied, makes_secrets: bool) {
        if applied.secrets_changed {
            self.secrets.expire();
        }
        let versions = applied.written.iter().filter_map(|key| Some((key.clone(), self.fights.version(key)?)));
        self.unseen.wrote(versions, Instant::now());
        self.made_secrets = makes_secrets && applied.written.iter().any(|key| key.kind == "Secret");
        self.applied = applied;
    }

    /// The status that a platform has. The watch may not have brought the latest yet.
    pub(super) fn status(&self, platform: &TodoPlatform) -> TodoPlatformStatus {
        let seen = or_first(platform.metadata.resource_version.as_deref());
        match &self.written {
            Some((status, version)) if seen < *version => status.clone(),
            _ => platform.status.clone().unwrap_or_default(),
        }
    }
}

/// What is remembered of all platforms, by UID.
#[derive(Default)]
pub(super) struct Memories(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>);

impl Memories {
    /// What is remembered of one platform; `known` are the UIDs of those that exist, for forgetting all others.
    pub(super) fn of(&self, uid: &str, known: impl FnOnce() -> HashSet<String>) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = memories.get(uid) {
            return Arc::clone(memory);
        }
        let known = known();
        memories.retain(|uid, _| known.contains(uid));
        Arc::clone(memories.entry(uid.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{class::Class, plan::Key};

    #[test]
    fn platforms_that_are_gone_are_forgotten() {
        let memories = Memories::default();
        let (old, _) = (memories.of("old", HashSet::new), memories.of("new", || HashSet::from(["new".to_owned()])));
        assert!(!Arc::ptr_eq(&old, &memories.of("old", HashSet::new)));
    }

    #[test]
    fn what_could_not_be_written_waits_longer_with_each_try_and_not_for_another_spec() {
        let key = Key { kind: "Service".to_owned(), name: "x".to_owned() };
        let failure = Failure { key, class: Class::Forbidden, message: String::new() };
        let applied = Applied { failures: vec![failure.clone()], ..Applied::default() };
        let (mut memory, now) = (Memory { applied, ..Memory::default() }, Instant::now());
        assert_eq!(memory.too_soon(Some(1), now), [], "the first time");
        let wait = memory.retries.fail(Some(1), now);
        assert_eq!(memory.too_soon(Some(1), now), [failure]);
        assert_eq!(memory.too_soon(Some(2), now), []);
        assert_eq!(memory.too_soon(Some(1), now + wait), []);
    }

    #[test]
    fn a_status_that_the_watch_has_not_brought_yet_is_remembered() {
        let mut platform = TodoPlatform::new("todo", todo_crds::platform::TodoPlatformSpec::default());
        let status = TodoPlatformStatus { url: Some("http://todo".to_owned()), ..TodoPlatformStatus::default() };
        let memory = Memory { written: Some((status.clone(), 10)), ..Memory::default() };
        platform.metadata.resource_version = Some("9".to_owned());
        assert_eq!(memory.status(&platform), status);
        platform.metadata.resource_version = Some("11".to_owned());
        assert_eq!(memory.status(&platform), TodoPlatformStatus::default(), "somebody else wrote it since");
    }
}
