//! What must hold between what clients were told and what is stored and published. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use uuid::Uuid;

use super::{
    facts::{Facts, PublishedEvent, StoredTask},
    history::{Aspect, History, Outcome, Request},
    webhooks,
};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// A change that was acknowledged is not stored.
    Lost(String),
    /// A change that was refused is stored.
    Phantom(String),
    /// Of several tasks that were to be changed together, some were and some were not.
    Torn(String),
    /// A change is stored and its event was not published.
    Unpublished(String),
    /// An event was published of a change that is not stored.
    Unfounded(String),
    /// The events of a task were published in another order than they happened.
    Disordered(String),
    /// The consumer of an event has acknowledged it, so that it does not come again, and has not handled it.
    Dropped(String),
    /// An event had no effect.
    NoEffect(String),
    /// An event took effect more than once.
    DoubleEffect(String),
    /// What counts as sent was never accepted by whom it was sent to.
    Unreceived(String),
    /// An event took effect though what it tells of had been changed before.
    Stale(String),
    /// An event that cannot be handled is not kept.
    Forgotten(String),
    /// Something had not got through when it had to.
    Waiting(String),
}

impl Violation {
    /// What is wrong, without saying with which.
    pub fn kind(&self) -> &'static str {
        self.parts().0
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Lost(which) => ("acknowledged and not stored", which),
            Self::Phantom(which) => ("refused and stored", which),
            Self::Torn(which) => ("done by halves", which),
            Self::Unpublished(which) => ("stored and not published", which),
            Self::Unfounded(which) => ("published and not stored", which),
            Self::Disordered(which) => ("published out of order", which),
            Self::Dropped(which) => ("acknowledged to the broker and not handled", which),
            Self::NoEffect(which) => ("without effect", which),
            Self::DoubleEffect(which) => ("with effect more than once", which),
            Self::Unreceived(which) => ("sent and not received", which),
            Self::Stale(which) => ("with effect though it was out of date", which),
            Self::Forgotten(which) => ("neither handled nor kept as a dead letter", which),
            Self::Waiting(which) => ("not through in time", which),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, which) = self.parts();
        write!(f, "{what}: {which}")
    }
}

/// All that is wrong, sorted.
pub fn violations(history: &History, facts: &Facts) -> Vec<Violation> {
    let mut found = Vec::new();
    changes(history, facts, &mut found);
    creates(history, facts, &mut found);
    states(history, facts, &mut found);
    effects(history, facts, &mut found);
    webhooks::judge(history, facts, &mut found);
    publication(history, facts, &mut found);
    order(facts, &mut found);
    consumption(facts, &mut found);
    if facts.waiting > 0 {
        found.push(Violation::Waiting(format!("{} events", facts.waiting)));
    }
    found.sort();
    found
}

/// Acknowledged ⊆ stored, and refused ∩ stored = ∅.
fn changes(history: &History, facts: &Facts, found: &mut Vec<Violation>) {
    let titles: BTreeSet<&str> =
        facts.tasks.iter().filter(|task| task.spawned_by.is_none()).map(|task| task.title.as_str()).collect();
    let by_id: HashMap<Uuid, &StoredTask> = facts.tasks.iter().map(|task| (task.id, task)).collect();
    for operation in &history.0 {
        let (stored, which) = match &operation.request {
            Request::Create { title, .. } | Request::CreateOnce { title } => {
                (titles.contains(title.as_str()), format!("task {title}"))
            }
            Request::Update { task, version } | Request::Move { task, version } => {
                let is_update = matches!(operation.request, Request::Update { .. });
                let stored = by_id.get(task).is_some_and(|row| {
                    // The version alone would do for what nothing follows: a completion after a lost update makes one, too.
                    version.is_none_or(|version| row.version >= version) && (!is_update || row.updated)
                });
                // A refused update leaves no trace of its own to look for.
                if operation.outcome == Outcome::Refused {
                    continue;
                }
                (stored, format!("update of {task}"))
            }
            // The first is looked at with others, and the rest change nothing themselves.
            Request::Make { .. } | Request::Tell { .. } | Request::Impossible { .. } => continue,
        };
        match operation.outcome {
            Outcome::Acknowledged if !stored => found.push(Violation::Lost(which)),
            Outcome::Refused if stored => found.push(Violation::Phantom(which)),
            _ => {}
        }
    }
}

/// No create was stored twice, whatever its client was told: each title was asked for once.
fn creates(history: &History, facts: &Facts, found: &mut Vec<Violation>) {
    let mut stored: BTreeMap<&str, usize> = BTreeMap::new();
    for task in facts.tasks.iter().filter(|task| task.spawned_by.is_none()) {
        *stored.entry(task.title.as_str()).or_default() += 1;
    }
    for operation in &history.0 {
        let (Request::Create { title, .. } | Request::CreateOnce { title }) = &operation.request else { continue };
        let count = stored.get(title.as_str()).copied().unwrap_or_default();
        if count > 1 {
            found.push(Violation::DoubleEffect(format!("create of {title} ({count} times)")));
        }
    }
}

/// What a task may be in the end.
#[derive(Default)]
struct May {
    /// What the last acknowledged change made of it.
    acknowledged: bool,
    /// What changes made of it of which nobody knows whether they were done, or when.
    unknown: BTreeSet<bool>,
    /// What changes that were refused would have made of it.
    refused: BTreeSet<bool>,
}

/// Each task is what was made of it last, and of several that were to be changed together either all or none were, by one
/// transaction: a moment between two would show itself only to whoever looks just then.
fn states(history: &History, facts: &Facts, found: &mut Vec<Violation>) {
    let by_id: HashMap<Uuid, &StoredTask> = facts.tasks.iter().map(|task| (task.id, task)).collect();
    let stored = |id: &Uuid, aspect| {
        by_id.get(id).map(|task| match aspect {
            Aspect::Completed => task.completed,
            Aspect::Deleted => task.deleted,
        })
    };
    let touched = history.touched();
    let mut may: BTreeMap<(Uuid, Aspect), May> = BTreeMap::new();
    for operation in &history.0 {
        let Request::Make { tasks, change } = &operation.request else { continue };
        let (aspect, value) = change.result();
        for task in tasks {
            let may = may.entry((*task, aspect)).or_default();
            match operation.outcome {
                Outcome::Acknowledged => may.acknowledged = value,
                Outcome::Unknown => drop(may.unknown.insert(value)),
                Outcome::Refused => drop(may.refused.insert(value)),
            }
        }
        let done: BTreeSet<_> = tasks.iter().map(|task| stored(task, aspect) == Some(value)).collect();
        let is_half = operation.outcome == Outcome::Unknown && done.len() > 1;
        // A new task has been made nothing of: what is so is what a change has written.
        let written = tasks.iter().filter(|task| value && stored(task, aspect) == Some(value) && touched[*task] == 1);
        let transactions: BTreeSet<_> = written.map(|task| by_id[task].written_by).collect();
        if is_half || transactions.len() > 1 {
            found.push(Violation::Torn(format!("{} of {tasks:?}", change.word())));
        }
    }
    for ((task, aspect), may) in may {
        let is = stored(&task, aspect);
        if is.is_some_and(|is| is == may.acknowledged || may.unknown.contains(&is)) {
            continue;
        }
        let what = match aspect {
            Aspect::Completed => "completed",
            Aspect::Deleted => "deleted",
        };
        let which =
            format!("whether {task} is {what} (it is {})", is.map_or("gone", |is| if is { "so" } else { "not so" }));
        let is_refused = is.is_some_and(|is| may.refused.contains(&is));
        found.push(if is_refused { Violation::Phantom(which) } else { Violation::Lost(which) });
    }
}

/// One next occurrence of each completed task that repeats and none of one that is open, and one notification of each
/// reminder and of each event of another publisher; of a task that was moved or deleted, none of what it had before.
fn effects(history: &History, facts: &Facts, found: &mut Vec<Violation>) {
    let mut successors: BTreeMap<Uuid, usize> = BTreeMap::new();
    for parent in facts.tasks.iter().filter(|task| !task.undone).filter_map(|task| task.spawned_by) {
        *successors.entry(parent).or_default() += 1;
    }
    let Expected { reminded, taken_back, may_be_told, told } = Expected::of(history);
    let notifications = |task: &Uuid| facts.notifications.get(task).copied().unwrap_or_default();
    for task in &facts.tasks {
        let id = &task.id;
        let (least, most, count, what) = if reminded.contains(task.title.as_str()) {
            // Where it was taken back, that may have been sooner.
            (usize::from(!taken_back.contains(id)), 1, notifications(id), "reminder")
        } else if may_be_told.contains(id) {
            (usize::from(told.contains(id)), 1, notifications(id), "foreign reminder")
        } else {
            let count = successors.get(id).copied().unwrap_or_default();
            (usize::from(task.completed), usize::from(task.completed), count, "completion")
        };
        let which = || format!("{what} of {id} ({count} times)");
        if count < least {
            found.push(Violation::NoEffect(which()));
        } else if count > most {
            found.push(Violation::DoubleEffect(which()));
        }
    }
    let mut told: BTreeMap<Uuid, usize> = BTreeMap::new();
    for reminder in facts.outbox.iter().filter_map(|event| event.reminder) {
        *told.entry(reminder).or_default() += 1;
    }
    let again = told.into_iter().filter(|(_, events)| *events > 1);
    found.extend(
        again.map(|(id, events)| Violation::DoubleEffect(format!("a tick for reminder {id} ({events} events)"))),
    );
    found.extend(facts.stale.iter().map(|task| Violation::Stale(format!("reminder of {task}"))));
    let forgotten = history.foreign().impossible.into_iter().filter(|event| !facts.dead.contains(event));
    found.extend(forgotten.map(|event| Violation::Forgotten(format!("event {event}"))));
}

/// What people are to be told of.
#[derive(Default)]
struct Expected<'a> {
    /// Titles of tasks with a reminder.
    reminded: BTreeSet<&'a str>,
    /// Tasks that may have been moved or deleted.
    taken_back: BTreeSet<Uuid>,
    /// Tasks that another publisher may have told of.
    may_be_told: BTreeSet<Uuid>,
    /// Of these the ones that it has told of.
    told: BTreeSet<Uuid>,
}

impl<'a> Expected<'a> {
    fn of(history: &'a History) -> Self {
        let mut expected = Self { taken_back: history.taken_back(), ..Self::default() };
        for operation in &history.0 {
            match &operation.request {
                Request::Create { title, reminded: true } => drop(expected.reminded.insert(title)),
                Request::Tell { task, .. } => {
                    expected.may_be_told.insert(*task);
                    if operation.outcome == Outcome::Acknowledged {
                        expected.told.insert(*task);
                    }
                }
                _ => {}
            }
        }
        expected
    }
}

/// Stored = published, as sets: an event may be published twice, with the same identity.
fn publication(history: &History, facts: &Facts, found: &mut Vec<Violation>) {
    let of_others: BTreeSet<Uuid> = history
        .0
        .iter()
        .filter_map(|operation| match operation.request {
            Request::Tell { event, .. } | Request::Impossible { event } => Some(event),
            _ => None,
        })
        .collect();
    let stored: BTreeSet<Uuid> = facts.outbox.iter().map(|event| event.id).collect();
    let published = facts.published.iter().map(|event| event.id).filter(|id| !of_others.contains(id));
    let published: BTreeSet<Uuid> = published.collect();
    found.extend(stored.difference(&published).map(|id| Violation::Unpublished(format!("event {id}"))));
    found.extend(published.difference(&stored).map(|id| Violation::Unfounded(format!("event {id}"))));
    // Every change of a task has an event of its own.
    let mut events: HashMap<Uuid, i64> = HashMap::new();
    for event in facts.outbox.iter().filter(|event| event.topic == "task-events") {
        *events.entry(event.task).or_default() += 1;
    }
    for task in &facts.tasks {
        let count = events.get(&task.id).copied().unwrap_or_default();
        if count < task.version {
            found.push(Violation::Unpublished(format!(
                "{} of {} changes of {}",
                task.version - count,
                task.version,
                task.id
            )));
        }
    }
}

/// The first publications of a task's events are in the order in which they happened, and all in one partition.
fn order(facts: &Facts, found: &mut Vec<Violation>) {
    let sequence: HashMap<Uuid, i64> = facts.outbox.iter().map(|event| (event.id, event.sequence)).collect();
    let (mut seen, mut last) = (BTreeSet::new(), HashMap::new());
    for event in &facts.published {
        let Some(sequence) = sequence.get(&event.id).filter(|_| seen.insert(event.id)) else { continue };
        let (partition, before) = last.entry((event.topic.clone(), event.task)).or_insert((event.partition, *sequence));
        if *partition != event.partition || *before > *sequence {
            found.push(Violation::Disordered(format!("event {} of {}", event.id, event.task)));
        }
        *before = *sequence;
    }
}

/// What a consumer has acknowledged to the broker is handled or kept as a dead letter.
fn consumption(facts: &Facts, found: &mut Vec<Violation>) {
    let is_acknowledged = |event: &&PublishedEvent| {
        facts.acknowledged.get(&(event.topic.clone(), event.partition)).is_some_and(|end| event.offset < *end)
    };
    let dropped = facts.published.iter().filter(is_acknowledged).map(|event| event.id);
    let dropped: BTreeSet<Uuid> =
        dropped.filter(|id| !facts.handled.contains(id) && !facts.dead.contains(id)).collect();
    found.extend(dropped.into_iter().map(|id| Violation::Dropped(format!("event {id}"))));
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
