//! By which words a sentence is known.

pub(super) const POLITE_START: [&str; 9] =
    ["please", "can you", "could you", "would you", "i want you to", "hey", "ok", "okay", "just"];
pub(super) const POLITE_END: [&str; 5] = ["please", "thanks", "thank you", "for me", "now"];
pub(super) const HELP: [&str; 8] =
    ["help", "commands", "hi", "hello", "what can you do", "what can i say", "how does this work", "who are you"];
pub(super) const NOTIFY: [&str; 5] = [
    "send me a test notification",
    "send a test notification",
    "send test notification",
    "test notification",
    "test notifications",
];
pub(super) const ADD: [&str; 29] = [
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
pub(super) const REMIND: [&str; 5] = ["remind me", "set a reminder", "add a reminder", "create a reminder", "reminder"];
pub(super) const COMPLETE: [&str; 10] = [
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
pub(super) const MARK: [&str; 2] = ["mark", "set"];
pub(super) const MARK_END: [&str; 8] =
    ["as complete", "as completed", "as done", "as finished", "to done", "to completed", "done", "complete"];
pub(super) const DELETE: [&str; 5] = ["delete", "remove", "drop", "cancel", "get rid of"];
pub(super) const CHANGE: [&str; 4] = ["change", "rename", "update", "edit"];
pub(super) const MOVE: [&str; 5] = ["move", "reschedule", "postpone", "snooze", "push"];
pub(super) const PRIORITIZE: [&str; 4] =
    ["set the priority of", "set priority of", "change the priority of", "change priority of"];
const PRIORITIES: [&str; 5] = ["none", "low", "medium", "high", "urgent"];

/// The priority that a word names.
pub(super) fn priority(word: &str) -> Option<&'static str> {
    PRIORITIES.into_iter().find(|priority| *priority == word)
}
