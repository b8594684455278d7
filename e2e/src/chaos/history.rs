//! What clients asked for and what they were told.

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
    /// To change a task, whose answer named this version.
    Update {
        /// Identity of the task.
        task: Uuid,
        /// Version that was answered, or none.
        version: Option<i64>,
    },
    /// To complete a task.
    Complete {
        /// Identity of the task.
        task: Uuid,
    },
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
}
