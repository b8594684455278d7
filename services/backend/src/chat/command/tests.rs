//! The table of sentences. The first eight are the ones that the specification's authors give as examples.

use chrono_tz::Tz;

use super::*;

/// Wednesday, 25 November 2026, 10:00 in Berlin.
fn clock() -> Clock {
    Clock { now: "2026-11-25T09:00:00Z".parse().unwrap(), zone: Tz::Europe__Berlin }
}

fn add(title: &str) -> Command {
    Command::Add(Draft { title: title.into(), ..Draft::default() })
}

fn add_due(title: &str, due: Due) -> Command {
    Command::Add(Draft { title: title.into(), due: Some(due), ..Draft::default() })
}

fn at(time: &str) -> Due {
    Due::At(time.parse().unwrap())
}

fn on(day: &str) -> Due {
    Due::On(day.parse().unwrap())
}

fn list(status: &'static str) -> Command {
    Command::List(Listing { status, due_before: None, tag: None })
}

fn list_due(before: &str) -> Command {
    Command::List(Listing { status: "open", due_before: Some(before.parse().unwrap()), tag: None })
}

fn title(text: &str) -> Target {
    Target::Title(text.into())
}

#[test]
fn sentences_are_read_as_commands() {
    let table = [
        ("Add a task to buy groceries", add("buy groceries")),
        ("Show me all my tasks", list("all")),
        ("What's pending?", list("open")),
        ("Mark task 3 as complete", Command::Complete(Target::Number(3))),
        ("Delete the meeting task", Command::Delete(title("meeting"))),
        ("Change task 1 to 'Call mom tonight'", Command::Rename(Target::Number(1), "Call mom tonight".into())),
        ("I need to remember to pay bills", add("pay bills")),
        ("What have I completed?", list("completed")),
        ("Add a new task to buy groceries", add("buy groceries")),
        ("add buy groceries tomorrow 9am", add_due("buy groceries", at("2026-11-26T08:00:00Z"))),
        ("Please add buy milk to my list", add("buy milk")),
        ("add: Buy Milk!", add("Buy Milk")),
        ("create a task called Water the plants", add("Water the plants")),
        ("could you add call the bank on friday?", add_due("call the bank", on("2026-11-27"))),
        ("add \"read 1984 today\"", add("read 1984 today")),
        ("add \"read 1984 today\" tomorrow", add_due("read 1984 today", on("2026-11-26"))),
        ("add today", add("today")),
        ("remind me to call mom at 18:00", add_due("call mom", at("2026-11-25T17:00:00Z"))),
        ("Remind me tomorrow at 7 to take out the bins", add_due("take out the bins", at("2026-11-26T06:00:00Z"))),
        ("remind me in 20 minutes to check the oven", add_due("check the oven", at("2026-11-25T09:20:00Z"))),
        ("remind me to pay rent on friday", add_due("pay rent", at("2026-11-27T08:00:00Z"))),
        ("show my tasks", list("open")),
        ("list all tasks", list("all")),
        ("tasks", list("open")),
        ("what do I have to do today?", list_due("2026-11-25T23:00:01Z")),
        ("what is overdue?", list_due("2026-11-25T09:00:00Z")),
        ("complete task 3", Command::Complete(Target::Number(3))),
        ("complete #3", Command::Complete(Target::Number(3))),
        ("complete buy groceries", Command::Complete(title("buy groceries"))),
        ("done with the report", Command::Complete(title("report"))),
        ("mark 'buy milk' as done", Command::Complete(title("buy milk"))),
        ("remove task number 2", Command::Delete(Target::Number(2))),
        ("rename buy milk to buy oat milk", Command::Rename(title("buy milk"), "buy oat milk".into())),
        ("change the meeting task to friday", Command::Move(title("meeting"), on("2026-11-27"))),
        ("move the report to tomorrow at 9am", Command::Move(title("report"), at("2026-11-26T08:00:00Z"))),
        ("postpone task 2 to monday", Command::Move(Target::Number(2), on("2026-11-30"))),
        ("set the priority of report to high", Command::Prioritize(title("report"), "high")),
        ("send me a test notification", Command::Notify),
        ("help", Command::Help),
        ("What can you do?", Command::Help),
        ("", Command::Unknown),
        ("what's the weather?", Command::Unknown),
        ("sing a song", Command::Unknown),
    ];
    for (sentence, command) in table {
        assert_eq!(parse(sentence, &clock()), command, "{sentence}");
    }
}

#[test]
fn tags_priority_and_repetition_are_read_from_anywhere_in_the_sentence() {
    assert_eq!(
        parse("add pay rent #home tomorrow 9am !high every month", &clock()),
        Command::Add(Draft {
            title: "pay rent".into(),
            due: Some(at("2026-11-26T08:00:00Z")),
            rrule: Some("FREQ=MONTHLY".into()),
            priority: Some("high"),
            tags: vec!["home".into()],
        })
    );
    assert_eq!(
        parse("show tasks with #home", &clock()),
        Command::List(Listing { status: "open", due_before: None, tag: Some("home".into()) })
    );
}

#[test]
fn a_sentence_that_lacks_something_is_asked_for_it() {
    for sentence in [
        "add",
        "remind me",
        "remind me to call mom",
        "complete",
        "delete the task",
        "move report",
        "rename report",
        "set priority of x to y",
    ] {
        assert!(matches!(parse(sentence, &clock()), Command::Ask(_)), "{sentence}");
    }
}

#[test]
fn an_id_is_a_target_of_its_own() {
    let id = "0193a1b0-7c1e-7000-8000-000000000001";
    assert_eq!(parse(&format!("complete {id}"), &clock()), Command::Complete(Target::Id(id.parse().unwrap())));
}

#[test]
fn any_text_is_read_without_a_panic() {
    for sentence in [
        "'",
        " '",
        "add '",
        "“”",
        "move to",
        "set priority of to",
        "add ‘’",
        "\u{0}",
        "remind me at",
        "каждый день ünïcödé ’",
    ] {
        let _ = parse(sentence, &clock());
    }
}
