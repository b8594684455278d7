//! The calendar feed, read by the Python package icalendar.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::fixture::with_backend;

fn read(calendar: &str) -> Value {
    let python = std::env::var("TEST_PYTHON")
        .expect("this test needs a Python with icalendar: run `cargo xtask test unit`, which sets TEST_PYTHON");
    let script = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/e2e/assets/python/calendar_reader.py");
    let mut reader = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    reader.stdin.take().unwrap().write_all(calendar.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{calendar}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn an_independent_reader_finds_the_open_tasks_that_are_due() {
    with_backend(async |backend| {
        let notes = "lines\nBEGIN:VEVENT\r\n; , \\ \u{1}end ".to_owned() + &"größe🥛".repeat(30);
        backend
            .create(json!({"user_id": "ada", "title": "meet, greet; \\ \"x\"", "notes": notes, "priority": "urgent",
                "tags": ["home"], "due_at": "2026-03-27T08:00:00Z", "time_zone": "Europe/Berlin",
                "recurrence": {"rrule": "FREQ=DAILY;COUNT=4"}}))
            .await;
        // As older tasks may have them.
        let with_comma = "UPDATE tasks SET tags = ARRAY['a,b', 'home']";
        sqlx::query(with_comma).execute(&backend.pool).await.unwrap();
        backend
            .create(json!({"user_id": "ada", "title": "rent", "due_date": "2026-01-31", "recurrence": {"rrule": "FREQ=MONTHLY"}}))
            .await;
        backend.create(json!({"user_id": "ada", "title": "once", "due_at": "2026-02-01T09:00:00Z"})).await;
        backend
            .create(json!({"user_id": "ada", "title": "half", "due_at": "2026-10-01T09:00:00Z",
                "time_zone": "Australia/Lord_Howe", "recurrence": {"rrule": "FREQ=WEEKLY;UNTIL=20261031"}}))
            .await;
        backend.create(json!({"user_id": "ada", "title": "whenever"})).await;
        let done = backend.create(json!({"user_id": "ada", "title": "done", "due_date": "2026-01-01"})).await;
        backend.post(&format!("/api/tasks/{done}/complete?user_id=ada"), Value::Null).await;
        backend.create(json!({"user_id": "bob", "title": "bobs", "due_date": "2026-01-01"})).await;

        let feed = backend.text("/api/tasks/feed.ics?user_id=ada").await;
        let read = read(&feed);
        assert_eq!((&read["errors"], &read["wrong_offsets"]), (&json!([]), &json!([])), "{feed}");
        let entries = read["entries"].as_array().unwrap();
        let titles: Vec<_> = entries.iter().map(|entry| entry["summary"].as_str().unwrap()).collect();
        assert_eq!(titles, ["rent", "once", "meet, greet; \\ \"x\"", "half"]);
        assert_eq!(entries[0]["start"], "2026-01-31");
        assert_eq!(entries[0]["dates"], json!(["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]));
        assert_eq!((&entries[1]["start"], &entries[1]["dates"]), (&json!("2026-02-01T09:00:00+00:00"), &Value::Null));
        // 09:00 in Berlin, before and after the clock change.
        let times = ["27T08", "28T08", "29T07", "30T07"].map(|time| format!("2026-03-{time}:00:00+00:00"));
        assert_eq!(entries[2]["dates"], json!(times));
        assert_eq!(entries[2]["description"], json!(notes.replace("\r\n", "\n").replace('\u{1}', "").trim_end()));
        assert_eq!((&entries[2]["categories"], &entries[2]["priority"]), (&json!(["a,b", "home"]), &json!(1)));
        assert_eq!(entries[3]["dates"].as_array().unwrap().len(), 5);
    })
    .await;
}

#[tokio::test]
async fn as_to_dos_each_is_one_that_is_due() {
    with_backend(async |backend| {
        backend
            .create(json!({"user_id": "ada", "title": "rent", "due_date": "2026-01-31", "recurrence": {"rrule": "FREQ=MONTHLY"}}))
            .await;
        let read = read(&backend.text("/api/tasks/feed.ics?user_id=ada&kind=todo").await);
        let entry = &read["entries"][0];
        assert_eq!((&entry["component"], &entry["start"], &entry["dates"]), (&json!("VTODO"), &json!("2026-01-31"), &Value::Null));
    })
    .await;
}
