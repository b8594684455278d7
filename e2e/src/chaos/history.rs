//! What clients asked for and what they were told.

use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

/// What a client knows of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was told that it is done.
    Acknowledged,
    /// It was told that it is not done.
    Refused,
    /// It was told nothing, or that nobody knows.
    Unknown,
}

impl Outcome {
    /// Of one request that was sent several times.
    pub fn of_tries(tries: &[Self]) -> Self {
        let knows = |outcome| tries.contains(&outcome).then_some(outcome);
        knows(Self::Acknowledged).or_else(|| knows(Self::Unknown)).unwrap_or(Self::Refused)
    }
}

/// What can be made of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A completed one.
    Complete,
    /// An open one.
    Reopen,
    /// A deleted one.
    Delete,
    /// One that is there.
    Restore,
}

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Whether it is completed.
    Completed,
    /// Whether it is deleted.
    Deleted,
}

impl Change {
    /// What it is about, and what that is afterwards. For a new task it is `false`.
    pub fn result(self) -> (Aspect, bool) {
        match self {
            Self::Complete => (Aspect::Completed, true),
            Self::Reopen => (Aspect::Completed, false),
            Self::Delete => (Aspect::Deleted, true),
            Self::Restore => (Aspect::Deleted, false),
        }
    }

    /// As paths and bodies of the API have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Reopen => "reopen",
            Self::Delete => "delete",
            Self::Restore => "restore",
        }
    }
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A task with this title, which no other has. Its reminder is due at once if it is to be reminded of; else it is
    /// one that repeats.
    Create {
        /// Title of the task.
        title: String,
        /// Whether it is to be reminded of.
        reminded: bool,
    },
    /// A task that repeats, with this title, by the same request several times with one idempotency key.
    CreateOnce {
        /// Title of the task.
        title: String,
    },
    /// To change a task, whose answer named this version.
    Update {
        /// Identity of the task.
        task: Uuid,
        /// Version that was answered, or none.
        version: Option<i64>,
    },
    /// To move a task that is to be reminded of to a day far away; the answer named this version.
    Move {
        /// Identity of the task.
        task: Uuid,
        /// Version that was answered, or none.
        version: Option<i64>,
    },
    /// To make something else of one task, or of several at once.
    Make {
        /// Identities of the tasks.
        tasks: Vec<Uuid>,
        /// What of each.
        change: Change,
    },
    /// To remind of a task, by another publisher that sends its event twice and knows of no row of ours.
    Tell {
        /// Identity of the event.
        event: Uuid,
        /// Identity of the task.
        task: Uuid,
    },
    /// An event of another publisher that can never be handled.
    Impossible {
        /// Identity of the event.
        event: Uuid,
    },
}

/// Events of another publisher that were acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreign {
    /// To be handled.
    pub told: HashSet<Uuid>,
    /// To be kept as dead letters.
    pub impossible: HashSet<Uuid>,
}

/// A request and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What was asked for.
    pub request: Request,
    /// What became of it, as far as the client knows.
    pub outcome: Outcome,
}

/// All operations of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(pub Vec<Operation>);

impl History {
    /// Notes an operation.
    pub fn note(&mut self, request: Request, outcome: Outcome) {
        self.0.push(Operation { request, outcome });
    }

    /// Takes in another client's.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many have an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|operation| operation.outcome == outcome).count()
    }

    /// Tasks whose reminders may have been taken back, as they may have been moved or deleted.
    pub fn taken_back(&self) -> BTreeSet<Uuid> {
        let tasks = |operation: &Operation| match &operation.request {
            Request::Move { task, .. } => vec![*task],
            Request::Make { tasks, change: Change::Delete } => tasks.clone(),
            _ => Vec::new(),
        };
        self.0.iter().flat_map(tasks).collect()
    }

    /// How many requests were to change each task, whatever became of them.
    pub fn touched(&self) -> HashMap<Uuid, usize> {
        let mut touched = HashMap::new();
        for operation in &self.0 {
            let tasks = match &operation.request {
                Request::Update { task, .. } | Request::Move { task, .. } => std::slice::from_ref(task),
                Request::Make { tasks, .. } => tasks,
                _ => continue,
            };
            for task in tasks {
                *touched.entry(*task).or_default() += 1;
            }
        }
        touched
    }

    /// The events of another publisher that have to get through.
    pub fn foreign(&self) -> Foreign {
        let mut foreign = Foreign::default();
        for operation in self.0.iter().filter(|operation| operation.outcome == Outcome::Acknowledged) {
            match operation.request {
                Request::Tell { event, .. } => drop(foreign.told.insert(event)),
                Request::Impossible { event } => drop(foreign.impossible.insert(event)),
                _ => {}
            }
        }
        foreign
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Acknowledged, Refused, Unknown};

    #[test]
    fn a_request_that_was_sent_several_times_is_done_if_one_was_and_not_done_only_if_none_may_have_been() {
        for (tries, outcome) in [
            ([Unknown, Acknowledged, Unknown], Acknowledged),
            ([Refused, Unknown, Refused], Unknown),
            ([Refused, Refused, Refused], Refused),
        ] {
            assert_eq!(super::Outcome::of_tries(&tries), outcome, "{tries:?}");
        }
    }
}
