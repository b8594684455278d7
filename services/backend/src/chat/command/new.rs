//! Sentences that make a task.

use todo_common::tasks::Due;

use super::{
    Command, Draft,
    phrases::priority,
    quotes::{quoted, title_ends_the_sentence},
};
use crate::chat::{
    when::{self, Clock, When},
    words::{self, Word, after, before},
};

const ADD_END: [&str; 6] = ["to my list", "to my tasks", "to my todo list", "to the list", "to my todos", "as a task"];

/// "… to buy milk tomorrow #home !high every week"
pub(super) fn add(rest: &[Word<'_>], sentence: &str, clock: &Clock) -> Command {
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
pub(super) fn remind(rest: &[Word<'_>], clock: &Clock) -> Command {
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
