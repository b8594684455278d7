//! Sentences about a task that is there.

use super::{Command, Target, phrases::priority, quotes::quoted};
use crate::chat::{
    when::{self, Clock},
    words::{self, Word, after, before},
};

pub(super) fn prioritize(rest: &[Word<'_>]) -> Command {
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
pub(super) fn change(rest: &[Word<'_>], sentence: &str, clock: &Clock) -> Command {
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

pub(super) fn reschedule(rest: &[Word<'_>], clock: &Clock) -> Command {
    let (rest, when) = when::take_last(rest, clock);
    let rest = before(rest, &["to", "until", "by"]).unwrap_or(rest);
    match (target(rest), when.due(clock)) {
        (Some(target), Some(due)) => Command::Move(target, due),
        _ => Command::Ask("Which task, and to when? Write for example: move buy milk to tomorrow 9am"),
    }
}

pub(super) fn with_target(rest: &[Word<'_>], command: fn(Target) -> Command) -> Command {
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
