use std::collections::HashSet;

use super::*;
use crate::chaos::{
    facts::{PublishedEvent, StoredEvent},
    history::{Change, Operation},
    webhooks::{Delivery, Webhook},
};

const CREATED: Uuid = Uuid::from_u128(1);
const COMPLETED: Uuid = Uuid::from_u128(2);
const SPAWNED: Uuid = Uuid::from_u128(3);
const REMINDED: Uuid = Uuid::from_u128(4);

const TOLD: Uuid = Uuid::from_u128(5);
const IMPOSSIBLE: Uuid = Uuid::from_u128(6);

const TASK: Uuid = Uuid::from_u128(10);
const NEXT: Uuid = Uuid::from_u128(11);
const REMINDER: Uuid = Uuid::from_u128(12);
const OF_OTHERS: Uuid = Uuid::from_u128(14);

const SENT: Uuid = Uuid::from_u128(20);
const SENT_FOR_OTHERS: Uuid = Uuid::from_u128(21);

fn task(id: Uuid, title: &str, version: i64, spawned_by: Option<Uuid>) -> StoredTask {
    StoredTask {
        id,
        title: title.to_owned(),
        version,
        completed: version > 1,
        deleted: false,
        undone: false,
        updated: false,
        spawned_by,
        written_by: 0,
    }
}

fn event(id: Uuid, sequence: i64, task: Uuid) -> StoredEvent {
    StoredEvent { id, sequence, topic: "task-events".to_owned(), task, reminder: None }
}

fn delivery(id: Uuid, task: Uuid) -> Delivery {
    Delivery { id, task, state: "sent".to_owned() }
}

fn webhook(id: Uuid, task: Uuid) -> Webhook {
    Webhook { id, task }
}

fn make(tasks: &[Uuid], change: Change) -> Request {
    Request::Make { tasks: tasks.to_owned(), change }
}

/// A task that was made and completed, its next occurrence, one that was reminded of, and one that somebody else reminded
/// of: all as it should be.
fn right() -> (History, Facts) {
    let mut history = History::default();
    history.note(Request::Create { title: "a".to_owned(), reminded: false }, Outcome::Acknowledged);
    history.note(make(&[TASK], Change::Complete), Outcome::Acknowledged);
    history.note(Request::Create { title: "b".to_owned(), reminded: true }, Outcome::Acknowledged);
    history.note(Request::Create { title: "c".to_owned(), reminded: false }, Outcome::Unknown);
    history.note(Request::Create { title: "d".to_owned(), reminded: false }, Outcome::Refused);
    history.note(Request::Create { title: "e".to_owned(), reminded: false }, Outcome::Acknowledged);
    history.note(Request::Tell { event: TOLD, task: OF_OTHERS }, Outcome::Acknowledged);
    history.note(Request::Impossible { event: IMPOSSIBLE }, Outcome::Acknowledged);
    let outbox =
        vec![event(CREATED, 1, TASK), event(COMPLETED, 2, TASK), event(SPAWNED, 3, NEXT), event(REMINDED, 4, REMINDER)];
    let of_others = [event(TOLD, 0, OF_OTHERS), event(IMPOSSIBLE, 0, OF_OTHERS)];
    let published = outbox
        .iter()
        .chain(&of_others)
        .zip(0..)
        .map(|(event, offset)| PublishedEvent {
            id: event.id,
            topic: event.topic.clone(),
            partition: 0,
            offset,
            task: event.task,
        })
        .collect();
    let facts = Facts {
        tasks: vec![
            task(TASK, "a", 2, None),
            task(NEXT, "a", 1, Some(TASK)),
            task(REMINDER, "b", 1, None),
            task(OF_OTHERS, "e", 0, None),
        ],
        outbox,
        published,
        notifications: HashMap::from([(REMINDER, 1), (OF_OTHERS, 1)]),
        deliveries: vec![delivery(SENT, REMINDER), delivery(SENT_FOR_OTHERS, OF_OTHERS)],
        received: vec![webhook(SENT, REMINDER), webhook(SENT_FOR_OTHERS, OF_OTHERS)],
        dead: HashSet::from([IMPOSSIBLE]),
        handled: HashSet::from([CREATED, COMPLETED, SPAWNED, REMINDED, TOLD]),
        acknowledged: HashMap::from([(("task-events".to_owned(), 0), 6)]),
        ..Facts::default()
    };
    (history, facts)
}

#[test]
fn a_run_in_which_all_went_well_has_no_violation() {
    let (history, mut facts) = right();
    assert_eq!(violations(&history, &facts), []);
    // At least once: the same event again is no mistake of the publisher.
    facts.published.push(facts.published[0].clone());
    // Nor is the same webhook.
    facts.received.push(facts.received[0].clone());
    assert_eq!(violations(&history, &facts), []);
}

#[test]
fn what_has_not_been_acknowledged_to_the_broker_may_still_be_handled() {
    let (history, mut facts) = right();
    facts.handled.remove(&TOLD);
    facts.acknowledged.insert(("task-events".to_owned(), 0), 4);
    assert_eq!(violations(&history, &facts), []);
    facts.acknowledged.insert(("task-events".to_owned(), 0), 5);
    assert_eq!(violations(&history, &facts).len(), 1);
}

#[test]
fn an_update_that_is_stored_is_found_whatever_came_after_it() {
    let (mut history, mut facts) = right();
    history.note(Request::Update { task: TASK, version: Some(1) }, Outcome::Acknowledged);
    facts.tasks[0].updated = true;
    assert_eq!(violations(&history, &facts), []);
}

#[test]
fn a_task_that_was_moved_may_have_been_reminded_of_before() {
    let (mut history, mut facts) = right();
    history.note(Request::Move { task: REMINDER, version: None }, Outcome::Acknowledged);
    assert_eq!(violations(&history, &facts), []);
    facts.notifications.remove(&REMINDER);
    assert_eq!(violations(&history, &facts), []);
}

/// A way in which a run goes wrong, and whether a violation says so.
type Wrong = (&'static str, fn(&mut History, &mut Facts), fn(&Violation) -> bool);

#[test]
fn each_way_to_go_wrong_is_found() {
    let wrong: [Wrong; 13] = [
        (
            "acknowledged before the commit",
            |_, facts| facts.tasks.retain(|task| task.id != REMINDER),
            |found| matches!(found, Violation::Lost(_)),
        ),
        (
            "a completion acknowledged before the commit",
            |_, facts| facts.tasks[0].completed = false,
            |found| matches!(found, Violation::Lost(_)),
        ),
        (
            "an update acknowledged before the commit",
            |history, facts| {
                history.note(Request::Update { task: NEXT, version: Some(2) }, Outcome::Acknowledged);
                facts.tasks[1].updated = true;
            },
            |found| matches!(found, Violation::Lost(_)),
        ),
        (
            "an update that was lost, and whose version a later change has made",
            |history, _| history.note(Request::Update { task: TASK, version: Some(2) }, Outcome::Acknowledged),
            |found| matches!(found, Violation::Lost(_)),
        ),
        (
            "refused after the commit",
            |history, _| {
                let request = Request::Create { title: "b".to_owned(), reminded: true };
                history.0.push(Operation { request, outcome: Outcome::Refused });
            },
            |found| matches!(found, Violation::Phantom(_)),
        ),
        (
            "marked as published before it was",
            |_, facts| facts.published.retain(|event| event.id != COMPLETED),
            |found| matches!(found, Violation::Unpublished(_)),
        ),
        (
            "the outbox row in a transaction of its own",
            |_, facts| {
                facts.outbox.retain(|event| event.id != COMPLETED);
                facts.published.retain(|event| event.id != COMPLETED);
            },
            |found| matches!(found, Violation::Unpublished(_)),
        ),
        (
            "published before the commit",
            |_, facts| facts.outbox.retain(|event| event.id != SPAWNED),
            |found| matches!(found, Violation::Unfounded(_)),
        ),
        (
            "a relay that knows no order",
            |_, facts| facts.published.swap(0, 1),
            |found| matches!(found, Violation::Disordered(_)),
        ),
        (
            "no partition key",
            |_, facts| facts.published[1].partition = 1,
            |found| matches!(found, Violation::Disordered(_)),
        ),
        (
            "acknowledged to the broker before the effect",
            |_, facts| facts.tasks.retain(|task| task.id != NEXT),
            |found| matches!(found, Violation::NoEffect(_)),
        ),
        (
            "no inbox",
            |_, facts| facts.tasks.push(task(Uuid::from_u128(13), "a", 0, Some(TASK))),
            |found| matches!(found, Violation::DoubleEffect(_)),
        ),
        (
            "a claim without a lock",
            |_, facts| *facts.notifications.entry(REMINDER).or_default() += 1,
            |found| matches!(found, Violation::DoubleEffect(_)),
        ),
    ];
    found_each(wrong);
}

#[test]
fn each_way_to_go_wrong_with_reminders_and_events_of_others_is_found() {
    let wrong: [Wrong; 10] = [
        (
            "a create that was sent again and done again",
            |_, facts| facts.tasks.extend([15, 16].map(|id| task(Uuid::from_u128(id), "c", 0, None))),
            |found| matches!(found, Violation::DoubleEffect(_)),
        ),
        (
            "acknowledged to the broker before the commit",
            |_, facts| facts.handled.retain(|id| *id != CREATED),
            |found| matches!(found, Violation::Dropped(_)),
        ),
        (
            "a reminder that is claimed by each tick",
            |_, facts| facts.outbox.iter_mut().take(2).for_each(|event| event.reminder = Some(REMINDER)),
            |found| matches!(found, Violation::DoubleEffect(_)),
        ),
        (
            "a reminder of somebody else shown twice",
            |_, facts| *facts.notifications.entry(OF_OTHERS).or_default() += 1,
            |found| matches!(found, Violation::DoubleEffect(_)),
        ),
        (
            "a reminder of somebody else not shown",
            |_, facts| facts.notifications.retain(|task, _| *task != OF_OTHERS),
            |found| matches!(found, Violation::NoEffect(_)),
        ),
        (
            "a moved task whose old reminder is shown twice",
            |history, facts| {
                history.note(Request::Move { task: REMINDER, version: None }, Outcome::Unknown);
                *facts.notifications.entry(REMINDER).or_default() += 1;
            },
            |found| matches!(found, Violation::DoubleEffect(_)),
        ),
        (
            "a move acknowledged before the commit",
            |history, _| history.note(Request::Move { task: REMINDER, version: Some(2) }, Outcome::Acknowledged),
            |found| matches!(found, Violation::Lost(_)),
        ),
        (
            "a reminder of a time that the task has no more",
            |_, facts| facts.stale.push(REMINDER),
            |found| matches!(found, Violation::Stale(_)),
        ),
        (
            "a dead letter that is not kept",
            |_, facts| facts.dead.clear(),
            |found| matches!(found, Violation::Forgotten(_)),
        ),
        (
            "a reminder that is claimed for ever",
            |_, facts| facts.waiting = 1,
            |found| matches!(found, Violation::Waiting(_)),
        ),
    ];
    found_each(wrong);
}

#[test]
fn each_way_in_which_a_webhook_goes_wrong_is_found() {
    let wrong: [Wrong; 6] = [
        (
            "marked as sent before it was accepted",
            |_, facts| facts.received.retain(|webhook| webhook.id != SENT),
            |found| matches!(found, Violation::Unreceived(_)),
        ),
        (
            "another id with each attempt",
            |_, facts| facts.received.push(webhook(Uuid::from_u128(22), REMINDER)),
            |found| matches!(found, Violation::DoubleEffect(_)),
        ),
        (
            "an id that belongs to no delivery",
            |_, facts| facts.deliveries[0].id = Uuid::from_u128(22),
            |found| matches!(found, Violation::Unfounded(_)),
        ),
        (
            "a notification that was stored without its delivery",
            |_, facts| facts.deliveries.truncate(1),
            |found| matches!(found, Violation::NoEffect(_)),
        ),
        (
            "a delivery that was given up",
            |_, facts| facts.deliveries[0].state = "failed".to_owned(),
            |found| matches!(found, Violation::NoEffect(_)),
        ),
        (
            "a delivery that was cancelled though its task is as it was",
            |_, facts| facts.deliveries[0].state = "cancelled".to_owned(),
            |found| matches!(found, Violation::NoEffect(_)),
        ),
    ];
    found_each(wrong);
}

#[test]
fn a_webhook_of_a_task_that_was_moved_may_be_cancelled_and_may_have_come_before_but_not_under_two_ids() {
    let (mut history, mut facts) = right();
    history.note(Request::Move { task: REMINDER, version: None }, Outcome::Unknown);
    facts.deliveries[0].state = "cancelled".to_owned();
    assert_eq!(violations(&history, &facts), []);
    facts.deliveries.remove(0);
    facts.notifications.remove(&REMINDER);
    assert_eq!(violations(&history, &facts), []);
    facts.received.push(webhook(Uuid::from_u128(22), REMINDER));
    assert!(matches!(violations(&history, &facts)[..], [Violation::DoubleEffect(_)]));
}

#[test]
fn a_task_is_what_was_made_of_it_last_or_what_a_request_without_an_answer_may_have_made_of_it() {
    use Outcome::{Acknowledged, Refused, Unknown};
    let in_turn = |outcomes: [Outcome; 3]| {
        let (mut history, facts) = right();
        for (change, outcome) in [Change::Reopen, Change::Complete, Change::Reopen].into_iter().zip(outcomes) {
            history.note(make(&[TASK], change), outcome);
        }
        violations(&history, &facts)
    };
    // It is completed.
    assert_eq!(in_turn([Acknowledged, Acknowledged, Unknown]), []);
    assert_eq!(in_turn([Acknowledged, Acknowledged, Refused]), []);
    assert_eq!(in_turn([Acknowledged, Unknown, Acknowledged]), [], "the second may have been carried out last");
    assert!(matches!(in_turn([Acknowledged, Acknowledged, Acknowledged])[..], [Violation::Lost(_)]));
    assert!(matches!(in_turn([Acknowledged, Refused, Acknowledged])[..], [Violation::Phantom(_)]));
}

#[test]
fn a_completion_that_was_taken_back_has_its_next_task_taken_back_with_it() {
    let (mut history, mut facts) = right();
    history.note(make(&[TASK], Change::Reopen), Outcome::Acknowledged);
    facts.tasks[0].completed = false;
    assert!(matches!(violations(&history, &facts)[..], [Violation::DoubleEffect(_)]));
    facts.tasks[1].deleted = true;
    assert!(
        matches!(violations(&history, &facts)[..], [Violation::DoubleEffect(_)]),
        "somebody else may have deleted it"
    );
    facts.tasks[1].undone = true;
    assert_eq!(violations(&history, &facts), []);
}

#[test]
fn a_task_that_was_deleted_may_have_been_reminded_of_before_and_may_not_be_there_again() {
    let (mut history, mut facts) = right();
    history.note(make(&[REMINDER], Change::Delete), Outcome::Acknowledged);
    assert!(matches!(violations(&history, &facts)[..], [Violation::Lost(_)]));
    facts.tasks[2].deleted = true;
    assert_eq!(violations(&history, &facts), []);
    facts.notifications.remove(&REMINDER);
    assert_eq!(violations(&history, &facts), []);
    history.note(make(&[REMINDER], Change::Restore), Outcome::Acknowledged);
    assert!(matches!(violations(&history, &facts)[..], [Violation::Lost(_)]));
}

#[test]
fn several_tasks_are_changed_together_or_none_of_them() {
    for outcome in [Outcome::Unknown, Outcome::Acknowledged] {
        let (mut history, mut facts) = right();
        history.note(make(&[NEXT, OF_OTHERS], Change::Delete), outcome);
        facts.tasks[1].deleted = true;
        let found = violations(&history, &facts);
        match outcome {
            Outcome::Unknown => assert!(matches!(found[..], [Violation::Torn(_)]), "{found:?}"),
            _ => assert!(matches!(found[..], [Violation::Lost(_)]), "{found:?}"),
        }
        facts.tasks[3].deleted = true;
        assert_eq!(violations(&history, &facts), []);
    }
    let (mut history, facts) = right();
    history.note(make(&[NEXT, OF_OTHERS], Change::Delete), Outcome::Unknown);
    assert_eq!(violations(&history, &facts), []);
}

#[test]
fn several_tasks_are_changed_by_one_transaction_unless_something_else_has_changed_them_since() {
    for outcome in [Outcome::Unknown, Outcome::Acknowledged] {
        let (mut history, mut facts) = right();
        history.note(make(&[NEXT, OF_OTHERS], Change::Delete), outcome);
        for (place, transaction) in [(1, 7), (3, 8)] {
            facts.tasks[place].deleted = true;
            facts.tasks[place].written_by = transaction;
        }
        let found = violations(&history, &facts);
        assert!(matches!(found[..], [Violation::Torn(_)]), "{found:?}");
        let mut changed = history.clone();
        changed.note(Request::Update { task: NEXT, version: None }, Outcome::Unknown);
        assert_eq!(violations(&changed, &facts), []);
        facts.tasks[3].written_by = 7;
        assert_eq!(violations(&history, &facts), []);
    }
}

#[test]
fn a_request_with_an_idempotency_key_makes_one_task_however_often_it_is_sent() {
    let (mut history, mut facts) = right();
    history.note(Request::CreateOnce { title: "f".to_owned() }, Outcome::Acknowledged);
    assert!(matches!(violations(&history, &facts)[..], [Violation::Lost(_)]));
    for id in [20, 21] {
        facts.tasks.push(task(Uuid::from_u128(id), "f", 0, None));
        assert_eq!(violations(&history, &facts).is_empty(), id == 20);
    }
    assert!(matches!(violations(&history, &facts)[..], [Violation::DoubleEffect(_)]));
}

fn found_each<const COUNT: usize>(wrong: [Wrong; COUNT]) {
    for (what, change, is_said) in wrong {
        let (mut history, mut facts) = right();
        change(&mut history, &mut facts);
        let found = violations(&history, &facts);
        assert!(found.iter().any(is_said), "{what}: {found:?}");
    }
}
