//! The command parser: a sentence in, a command out. Pure, and no language model: it knows the sentences of the table below.

use chrono::{DateTime, Utc};
use todo_common::tasks::Due;
use uuid::Uuid;

use super::{
    when::{self, Clock, When},
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

const POLITE_START: [&str; 9] =
    ["please", "can you", "could you", "would you", "i want you to", "hey", "ok", "okay", "just"];
const POLITE_END: [&str; 5] = ["please", "thanks", "thank you", "for me", "now"];
const HELP: [&str; 8] =
    ["help", "commands", "hi", "hello", "what can you do", "what can i say", "how does this work", "who are you"];
const NOTIFY: [&str; 5] = [
    "send me a test notification",
    "send a test notification",
    "send test notification",
    "test notification",
    "test notifications",
];
const ADD: [&str; 29] = [
    "add a new task called",
    "add a new task to",
    "add a new task",
    "add a task called",
    "add a task to",
    "add a task",
    "add a todo to",
    "add a todo",
    "add new task",
    "add task",
    "add todo",
    "add",
    "create a new task called",
    "create a new task to",
    "create a new task",
    "create a task called",
    "create a task to",
    "create a task",
    "create task",
    "create",
    "new task",
    "todo",
    "i need to remember to",
    "i have to remember to",
    "remember to",
    "i need to",
    "i have to",
    "i must",
    "don't forget to",
];
const ADD_END: [&str; 6] = ["to my list", "to my tasks", "to my todo list", "to the list", "to my todos", "as a task"];
const REMIND: [&str; 5] = ["remind me", "set a reminder", "add a reminder", "create a reminder", "reminder"];
const COMPLETE: [&str; 10] = [
    "complete",
    "finish",
    "check off",
    "tick off",
    "done with",
    "done",
    "i finished",
    "i have finished",
    "i completed",
    "i'm done with",
];
const MARK: [&str; 2] = ["mark", "set"];
const MARK_END: [&str; 8] =
    ["as complete", "as completed", "as done", "as finished", "to done", "to completed", "done", "complete"];
const DELETE: [&str; 5] = ["delete", "remove", "drop", "cancel", "get rid of"];
const CHANGE: [&str; 4] = ["change", "rename", "update", "edit"];
const MOVE: [&str; 5] = ["move", "reschedule", "postpone", "snooze", "push"];
const PRIORITIZE: [&str; 4] =
    ["set the priority of", "set priority of", "change the priority of", "change priority of"];
const PRIORITIES: [&str; 5] = ["none", "low", "medium", "high", "urgent"];

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

/// A sentence is a question for tasks when all of its words belong to such questions and one of them names tasks or time.
fn listing(words: &[Word<'_>], clock: &Clock) -> Option<Listing> {
    const TOPIC: [&str; 22] = [
        "task",
        "tasks",
        "todo",
        "todos",
        "to-dos",
        "list",
        "pending",
        "open",
        "completed",
        "finished",
        "done",
        "left",
        "due",
        "overdue",
        "late",
        "everything",
        "today",
        "tomorrow",
        "todo's",
        "agenda",
        "remaining",
        "reminders",
    ];
    const FILLER: [&str; 27] = [
        "show", "view", "display", "see", "get", "give", "tell", "what", "what's", "which", "is", "are", "me", "my",
        "the", "all", "of", "do", "i", "have", "to", "on", "for", "still", "that", "need", "with",
    ];
    let known = |word: &Word<'_>| {
        let plain = word.plain();
        TOPIC.contains(&plain) || FILLER.contains(&plain) || plain.starts_with('#')
    };
    let says = |options: &[&str]| words.iter().any(|word| options.contains(&word.plain()));
    let first_is_a_verb = words.first().is_some_and(|word| ["done", "due"].contains(&word.plain())) && words.len() > 1;
    if !words.iter().all(known) || !says(&TOPIC) || first_is_a_verb {
        return None;
    }
    // A task that is due on a day is due at its very end, so the moment is just behind that.
    let end_of = |days_ahead: u64| {
        let day = clock.today() + chrono::Days::new(days_ahead + 1);
        clock.moment(day.and_time(chrono::NaiveTime::MIN)) + chrono::Duration::seconds(1)
    };
    let due_before = if says(&["overdue", "late"]) {
        Some(clock.now)
    } else if says(&["today"]) {
        Some(end_of(0))
    } else if says(&["tomorrow"]) {
        Some(end_of(1))
    } else {
        None
    };
    let status = if says(&["completed", "finished", "done"]) {
        "completed"
    } else if says(&["all", "everything"]) && due_before.is_none() && !says(&["open", "pending", "left", "remaining"]) {
        "all"
    } else {
        "open"
    };
    let tag = words.iter().find_map(|word| word.plain().strip_prefix('#')).map(str::to_owned);
    Some(Listing { status, due_before, tag })
}

/// "… to buy milk tomorrow #home !high every week"
fn add(rest: &[Word<'_>], sentence: &str, clock: &Clock) -> Command {
    let rest = before(rest, &ADD_END).unwrap_or(rest);
    if let Some(title) = quoted(sentence) {
        // Words in quotes are the title as it is; the time is looked for behind them.
        let (_, when) = when::take_last(rest, clock);
        let when = if title_ends_the_sentence(sentence) { When::default() } else { when };
        return draft(Draft { title, ..Draft::default() }, when, clock);
    }
    let (rest, marks) = take_marks(rest);
    let (title, when) = when::take_last(&rest, clock);
    let (title, when) = if title.is_empty() { (&rest[..], When::default()) } else { (title, when) };
    draft(Draft { title: words::join(title), ..marks }, when, clock)
}

fn draft(draft: Draft, when: When, clock: &Clock) -> Command {
    if draft.title.is_empty() {
        return Command::Ask("What should the task be called? Write for example: add buy groceries tomorrow 9am");
    }
    Command::Add(Draft { due: when.due(clock), rrule: when.every().map(when::Every::rrule), ..draft })
}

/// "… to call mom at 18:00", "… at 18:00 to call mom"
fn remind(rest: &[Word<'_>], clock: &Clock) -> Command {
    let (rest, marks) = take_marks(rest);
    let (rest, first) = when::take_first(&rest, clock);
    let rest = after(rest, &["to", "about", "of", "that", "for"]).unwrap_or(rest);
    let (title, last) = if first.is_empty() { when::take_last(rest, clock) } else { (rest, When::default()) };
    let when = if first.is_empty() { last } else { first };
    let title = words::join(title);
    if title.is_empty() {
        return Command::Ask("What should I remind you of? Write for example: remind me to call mom at 18:00");
    }
    match when.moment(clock) {
        Some(moment) => Command::Add(Draft {
            title,
            due: Some(Due::At(moment)),
            rrule: when.every().map(when::Every::rrule),
            ..marks
        }),
        None => Command::Ask("When should I remind you? Write for example: remind me to call mom at 18:00"),
    }
}

/// Takes `#tag` and `!priority` out of a sentence.
fn take_marks<'a>(words: &[Word<'a>]) -> (Vec<Word<'a>>, Draft) {
    let mut draft = Draft::default();
    let mut rest = Vec::with_capacity(words.len());
    for word in words {
        let priority = word.written().strip_prefix('!').and_then(|_| priority(word.plain()));
        if let Some(tag) = word.plain().strip_prefix('#').filter(|tag| tag.starts_with(char::is_alphabetic)) {
            draft.tags.push(tag.to_owned());
        } else if priority.is_some() {
            draft.priority = priority;
        } else {
            rest.push(word.clone());
        }
    }
    (rest, draft)
}

fn priority(word: &str) -> Option<&'static str> {
    PRIORITIES.into_iter().find(|priority| *priority == word)
}

fn prioritize(rest: &[Word<'_>]) -> Command {
    let split = rest.iter().rposition(|word| word.plain() == "to");
    match split.map(|at| (target(&rest[..at]), &rest[at + 1..])) {
        Some((Some(target), [word])) if priority(word.plain()).is_some() => {
            Command::Prioritize(target, priority(word.plain()).unwrap_or_default())
        }
        _ => Command::Ask(
            "Write for example: set the priority of buy groceries to high (none, low, medium, high or urgent)",
        ),
    }
}

/// "… task 1 to 'Call mom tonight'", "… the meeting to friday"
fn change(rest: &[Word<'_>], sentence: &str, clock: &Clock) -> Command {
    const EXAMPLE: &str = "Write for example: change buy milk to buy oat milk, or: move buy milk to tomorrow 9am";
    let Some(at) = rest.iter().position(|word| word.plain() == "to") else {
        return Command::Ask(EXAMPLE);
    };
    let (Some(target), new) = (target(&rest[..at]), &rest[at + 1..]) else {
        return Command::Ask(EXAMPLE);
    };
    if let Some(title) = quoted(sentence) {
        return Command::Rename(target, title);
    }
    match when::take_last(new, clock) {
        (_, _) if new.is_empty() => Command::Ask(EXAMPLE),
        ([], when) => when.due(clock).map_or(Command::Ask(EXAMPLE), |due| Command::Move(target, due)),
        _ => Command::Rename(target, words::join(new)),
    }
}

fn reschedule(rest: &[Word<'_>], clock: &Clock) -> Command {
    let (rest, when) = when::take_last(rest, clock);
    let rest = before(rest, &["to", "until", "by"]).unwrap_or(rest);
    match (target(rest), when.due(clock)) {
        (Some(target), Some(due)) => Command::Move(target, due),
        _ => Command::Ask("Which task, and to when? Write for example: move buy milk to tomorrow 9am"),
    }
}

fn with_target(rest: &[Word<'_>], command: fn(Target) -> Command) -> Command {
    target(rest).map_or(
        Command::Ask(
            "Which task? Write its number in the list or words of its title, for example: complete buy groceries",
        ),
        command,
    )
}

/// "task 3", "the meeting task", "#3", an id, or words of a title.
fn target(words: &[Word<'_>]) -> Option<Target> {
    let words = after(words, &["the", "my"]).unwrap_or(words);
    let named = after(words, &["task number", "task", "todo", "number", "no"]).filter(|rest| !rest.is_empty());
    let words = named.unwrap_or_else(|| before(words, &["task", "todo", "reminder"]).unwrap_or(words));
    if let [word] = words {
        let plain = word.plain().trim_start_matches('#');
        if let Ok(number) = plain.parse() {
            return Some(Target::Number(number));
        }
        if let Ok(id) = plain.parse() {
            return Some(Target::Id(id));
        }
    }
    let title = words::join(words);
    (!title.is_empty()).then_some(Target::Title(title))
}

const QUOTES: [(char, char); 3] = [('"', '"'), ('“', '”'), ('‘', '’')];

/// The text between the first pair of quotes. A single straight one must begin a word, or it is an apostrophe.
fn quoted(sentence: &str) -> Option<String> {
    let (start, end) = quotes(sentence)?;
    Some(sentence[start..end].trim().to_owned()).filter(|text| !text.is_empty())
}

fn title_ends_the_sentence(sentence: &str) -> bool {
    quotes(sentence).is_some_and(|(_, end)| words::split(&sentence[end..]).is_empty())
}

fn quotes(sentence: &str) -> Option<(usize, usize)> {
    let double = QUOTES.into_iter().find_map(|(open, close)| {
        let start = sentence.find(open)? + open.len_utf8();
        Some((start, start + sentence[start..].find(close)?))
    });
    double.or_else(|| {
        let start = sentence.find(" '")? + 2;
        Some((start, start + sentence[start..].rfind('\'')?))
    })
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
