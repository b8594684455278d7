//! What a run must have had for its silence to mean something: a judge who is shown nothing finds nothing. Pure.

use super::{
    facts::{Facts, TOPICS},
    history::{Change, History, Operation, Outcome, Request},
};

type Kind = (&'static str, fn(&Request) -> bool);

/// Of each kind a client has to have been told once that it is done.
const KINDS: [Kind; 13] = [
    ("a task that repeats", |request| matches!(request, Request::Create { reminded: false, .. })),
    ("a task with a reminder", |request| matches!(request, Request::Create { reminded: true, .. })),
    ("a task with an idempotency key", |request| matches!(request, Request::CreateOnce { .. })),
    ("an update", |request| matches!(request, Request::Update { .. })),
    ("a move", |request| matches!(request, Request::Move { .. })),
    ("a completion", |request| is_of_one(request, Change::Complete)),
    ("a completion taken back", |request| is_of_one(request, Change::Reopen)),
    ("a deletion", |request| is_of_one(request, Change::Delete)),
    ("a deletion taken back", |request| is_of_one(request, Change::Restore)),
    ("a completion of several", |request| is_of_several(request, Change::Complete)),
    ("a deletion of several", |request| is_of_several(request, Change::Delete)),
    ("an event of another publisher", |request| matches!(request, Request::Tell { .. })),
    ("an event that cannot be handled", |request| matches!(request, Request::Impossible { .. })),
];

fn is_of_one(request: &Request, wanted: Change) -> bool {
    matches!(request, Request::Make { tasks, change } if tasks.len() == 1 && *change == wanted)
}

fn is_of_several(request: &Request, wanted: Change) -> bool {
    matches!(request, Request::Make { tasks, change } if tasks.len() > 1 && *change == wanted)
}

/// What did not happen, so that nothing was shown of it.
pub fn missing(history: &History, facts: &Facts) -> Vec<String> {
    let was_done = |is_it: fn(&Request) -> bool| {
        let is_done = |operation: &Operation| operation.outcome == Outcome::Acknowledged && is_it(&operation.request);
        history.0.iter().any(is_done)
    };
    let not_done =
        KINDS.iter().filter(|(_, is_it)| !was_done(*is_it)).map(|(what, _)| format!("{what} was acknowledged"));
    let unread = TOPICS.iter().filter(|topic| !facts.acknowledged.keys().any(|(of, _)| of == *topic));
    let unread = unread.map(|topic| format!("an offset of {topic} was committed"));
    let not_there = [
        ("a notification was stored", facts.notifications.is_empty()),
        ("a webhook came", facts.received.is_empty()),
        ("a dead letter was kept", facts.dead.is_empty()),
    ];
    let not_there = not_there.into_iter().filter(|(_, is_missing)| *is_missing).map(|(what, _)| what.to_owned());
    not_done.chain(unread).chain(not_there).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use uuid::Uuid;

    use super::*;
    use crate::chaos::webhooks::Webhook;

    const TASK: Uuid = Uuid::from_u128(1);

    fn whole() -> (History, Facts) {
        let several = vec![TASK, Uuid::from_u128(2)];
        let title = "a".to_owned();
        let mut history = History::default();
        for request in [
            Request::Create { title: title.clone(), reminded: false },
            Request::Create { title: title.clone(), reminded: true },
            Request::CreateOnce { title },
            Request::Update { task: TASK, version: None },
            Request::Move { task: TASK, version: None },
            Request::Make { tasks: vec![TASK], change: Change::Complete },
            Request::Make { tasks: vec![TASK], change: Change::Reopen },
            Request::Make { tasks: vec![TASK], change: Change::Delete },
            Request::Make { tasks: vec![TASK], change: Change::Restore },
            Request::Make { tasks: several.clone(), change: Change::Complete },
            Request::Make { tasks: several, change: Change::Delete },
            Request::Tell { event: TASK, task: TASK },
            Request::Impossible { event: TASK },
        ] {
            history.note(request, Outcome::Acknowledged);
        }
        let facts = Facts {
            notifications: HashMap::from([(TASK, 1)]),
            received: vec![Webhook { id: TASK, task: TASK }],
            dead: HashSet::from([TASK]),
            acknowledged: TOPICS.map(|topic| ((topic.to_owned(), 0), 1)).into(),
            ..Facts::default()
        };
        (history, facts)
    }

    #[test]
    fn a_run_that_had_some_of_everything_lacks_nothing_and_one_without_anything_lacks_all() {
        let (history, facts) = whole();
        assert_eq!(missing(&history, &facts), [""; 0]);
        assert_eq!(missing(&History::default(), &Facts::default()).len(), KINDS.len() + TOPICS.len() + 3);
    }

    #[test]
    fn a_kind_of_request_that_was_never_acknowledged_is_missing_however_often_it_was_sent() {
        let (whole, facts) = whole();
        for left_out in 0..whole.0.len() {
            for outcome in [Outcome::Unknown, Outcome::Refused] {
                let mut history = whole.clone();
                history.0[left_out].outcome = outcome;
                assert_eq!(missing(&history, &facts).len(), 1, "{:?}", history.0[left_out]);
            }
        }
    }

    #[test]
    fn a_topic_of_which_no_offset_is_known_is_missing() {
        let (history, mut facts) = whole();
        facts.acknowledged.retain(|(topic, _), _| topic != "reminders");
        assert_eq!(missing(&history, &facts), ["an offset of reminders was committed"]);
    }
}
