//! The command parser: a sentence in, a command out. Pure, and no language model: it knows the sentences of the tables in
//! [`phrases`].

mod change;
mod list;
mod new;
mod phrases;
mod quotes;

use chrono::{DateTime, Utc};
use todo_common::tasks::Due;
use uuid::Uuid;

use self::{
    change::{change, prioritize, reschedule, with_target},
    list::listing,
    new::{add, remind},
    phrases::{
        ADD, CHANGE, COMPLETE, DELETE, HELP, MARK, MARK_END, MOVE, NOTIFY, POLITE_END, POLITE_START, PRIORITIZE, REMIND,
    },
};
use super::{
    when::Clock,
    words::{self, Word, after, before},
};

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make a task.
    Add(Draft),
    /// Show tasks.
    List(Listing),
    /// Mark a task as done.
    Complete(Target),
    /// Delete a task.
    Delete(Target),
    /// Give a task another title.
    Rename(Target, String),
    /// Give a task another due time.
    Move(Target, Due),
    /// Give a task another priority.
    Prioritize(Target, &'static str),
    /// Send a test notification.
    Notify,
    /// Say what can be said.
    Help,
    /// The sentence lacks something; the text asks for it.
    Ask(&'static str),
    /// No sentence that the parser knows.
    Unknown,
}

/// A task to be made.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) title: String,
    pub(crate) due: Option<Due>,
    pub(crate) rrule: Option<String>,
    pub(crate) priority: Option<&'static str>,
    pub(crate) tags: Vec<String>,
}

/// Which tasks to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// `all`, `open` or `completed`, as the tool `list_tasks` names them.
    pub(crate) status: &'static str,
    /// Only those due before this moment.
    pub(crate) due_before: Option<DateTime<Utc>>,
    /// Only those with this tag.
    pub(crate) tag: Option<String>,
}

/// The task that a person means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The number in the list that was shown last, from 1.
    Number(usize),
    /// The task's id.
    Id(Uuid),
    /// Words of its title.
    Title(String),
}

/// Reads one sentence.
pub(crate) fn parse(sentence: &str, clock: &Clock) -> Command {
    let all = words::split(sentence);
    let words = strip_politeness(&all);
    if after(words, &HELP).is_some_and(<[_]>::is_empty) {
        Command::Help
    } else if after(words, &NOTIFY).is_some_and(<[_]>::is_empty) {
        Command::Notify
    } else if let Some(listing) = listing(words, clock) {
        Command::List(listing)
    } else if let Some(rest) = after(words, &REMIND) {
        remind(rest, clock)
    } else if let Some(rest) = after(words, &PRIORITIZE) {
        prioritize(rest)
    } else if let Some(rest) = after(words, &MARK).and_then(|rest| before(rest, &MARK_END)) {
        with_target(rest, Command::Complete)
    } else if let Some(rest) = after(words, &COMPLETE) {
        with_target(rest, Command::Complete)
    } else if let Some(rest) = after(words, &DELETE) {
        with_target(rest, Command::Delete)
    } else if let Some(rest) = after(words, &CHANGE) {
        change(rest, sentence, clock)
    } else if let Some(rest) = after(words, &MOVE) {
        reschedule(rest, clock)
    } else if let Some(rest) = after(words, &ADD) {
        add(rest, sentence, clock)
    } else {
        Command::Unknown
    }
}

fn strip_politeness<'a, 'b>(mut words: &'b [Word<'a>]) -> &'b [Word<'a>] {
    while let Some(rest) = after(words, &POLITE_START) {
        words = rest;
    }
    while let Some(rest) = before(words, &POLITE_END) {
        words = rest;
    }
    words
}

#[cfg(test)]
mod tests;
