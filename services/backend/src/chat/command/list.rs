//! Questions for tasks.

use super::Listing;
use crate::chat::{when::Clock, words::Word};

/// A sentence is a question for tasks when all of its words belong to such questions and one of them names tasks or time.
pub(super) fn listing(words: &[Word<'_>], clock: &Clock) -> Option<Listing> {
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
