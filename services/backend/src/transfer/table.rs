//! Tasks as CSV (RFC 4180): one line each, below a line with the names of the columns.
//!
//! Spreadsheets take a cell that begins with `=`, `+`, `-` or `@` for a formula, which somebody else may have written into a title. Such
//! a cell gets an apostrophe before it, which is taken away when it is read.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use csv::{ByteRecord, ReaderBuilder, Writer};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use todo_common::{
    problem::{FieldError, Fields, Problem},
    tasks::{ImportedTask, Recurrence, Reminder, Task},
};

const COLUMNS: [&str; 15] = [
    "id",
    "title",
    "notes",
    "status",
    "priority",
    "tags",
    "due_at",
    "due_date",
    "time_zone",
    "rrule",
    "after_completion_days",
    "reminders",
    "completed_at",
    "created_at",
    "updated_at",
];
/// Between the parts of a cell.
const SEPARATOR: char = ';';
/// Makes a separator, or itself, a part of the text.
const ESCAPE: char = '\\';

/// The names of the columns.
pub(super) fn header() -> Vec<u8> {
    lines([COLUMNS.map(str::to_owned)].into_iter())
}

/// One line for each task.
pub(super) fn write(tasks: &[Task]) -> Vec<u8> {
    lines(tasks.iter().map(cells))
}

fn lines(rows: impl Iterator<Item = [String; COLUMNS.len()]>) -> Vec<u8> {
    let mut writer = Writer::from_writer(Vec::new());
    for row in rows {
        // A vector takes everything, and all rows have the same length.
        let _ = writer.write_record(row);
    }
    writer.into_inner().unwrap_or_default()
}

fn cells(task: &Task) -> [String; COLUMNS.len()] {
    let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let (rrule, days) = match &task.recurrence {
        Some(Recurrence::Rrule(rule)) => (rule.clone(), String::new()),
        Some(Recurrence::AfterCompletionDays(days)) => (String::new(), days.to_string()),
        None => (String::new(), String::new()),
    };
    let reminders = task.reminders.iter().map(|reminder| match reminder {
        Reminder::At(at) => instant(*at),
        Reminder::BeforeMinutes(minutes) => format!("PT{minutes}M"),
    });
    [
        task.id.to_string(),
        guarded(&task.title),
        guarded(task.notes.as_deref().unwrap_or_default()),
        word(serde_json::json!(task.status)),
        word(serde_json::json!(task.priority)),
        guarded(&join(task.tags.iter().map(String::as_str))),
        task.due_at.map(instant).unwrap_or_default(),
        task.due_date.map(|day| day.to_string()).unwrap_or_default(),
        task.time_zone.clone(),
        guarded(&rrule),
        days,
        join(reminders.collect::<Vec<_>>().iter().map(String::as_str)),
        task.completed_at.map(instant).unwrap_or_default(),
        instant(task.created_at),
        instant(task.updated_at),
    ]
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A row as it was read: its number, as spreadsheets count, and the task or what is wrong.
pub(super) type Read = (usize, Result<ImportedTask, FieldError>);

/// The tasks of a table with at least a column `title`. Unknown columns are not looked at.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Read>, Problem> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(bytes);
    let unreadable = |error: csv::Error| Problem::bad_request(format!("the table cannot be read: {error}"));
    let names: Vec<String> =
        reader.headers().map_err(unreadable)?.iter().map(|name| name.trim().to_lowercase()).collect();
    if !names.iter().any(|name| name == "title") {
        return Err(Problem::invalid(vec![FieldError::new(
            "title",
            "the first line must name the columns, of which one is `title`",
        )]));
    }
    // The names of the columns are row 1.
    let rows =
        reader.byte_records().zip(2..).map(|(row, number)| Ok((number, task(&names, &row.map_err(unreadable)?))));
    rows.collect()
}

fn task(names: &[String], row: &ByteRecord) -> Result<ImportedTask, FieldError> {
    let mut cells = HashMap::new();
    for (name, cell) in names.iter().zip(row) {
        let text = str::from_utf8(cell).map_err(|_| FieldError::new(name, "must be UTF-8"))?;
        if !text.is_empty() {
            cells.insert(name.as_str(), text);
        }
    }
    let mut fields = Map::new();
    for name in ["title", "notes"] {
        if let Some(text) = cells.get(name) {
            fields.insert(name.to_owned(), unguarded(text).into());
        }
    }
    fields.entry("title").or_insert("".into());
    for name in ["status", "priority", "due_at", "due_date", "time_zone", "completed_at"] {
        if let Some(text) = cells.get(name) {
            fields.insert(name.to_owned(), (*text).into());
        }
    }
    if let Some(text) = cells.get("tags") {
        fields.insert("tags".to_owned(), split(unguarded(text)).into());
    }
    let recurrence = match (cells.get("rrule"), cells.get("after_completion_days")) {
        (Some(_), Some(_)) => return Err(FieldError::new("rrule", "write rrule or after_completion_days, not both")),
        (Some(rule), None) => Some(Recurrence::Rrule(unguarded(rule).to_owned())),
        (None, Some(days)) => {
            Some(Recurrence::AfterCompletionDays(value("after_completion_days", days, "a number of days")?))
        }
        (None, None) => None,
    };
    let reminders =
        cells.get("reminders").map(|text| split(text).iter().map(|part| reminder(part)).collect()).transpose()?;
    let mut task = ImportedTask::read(Fields::from(fields))?;
    task.task.recurrence = recurrence;
    task.task.reminders = reminders.unwrap_or_default();
    Ok(task)
}

fn value<T: DeserializeOwned>(name: &str, text: &str, wanted: &str) -> Result<T, FieldError> {
    serde_json::from_str(text).map_err(|_| FieldError::new(name, format!("must be {wanted}")))
}

fn reminder(text: &str) -> Result<Reminder, FieldError> {
    let before =
        text.strip_prefix("PT").and_then(|text| text.strip_suffix('M')).and_then(|minutes| minutes.parse().ok());
    let at = || text.parse::<DateTime<Utc>>().ok().map(Reminder::At);
    before.map(Reminder::BeforeMinutes).or_else(at).ok_or_else(|| {
        FieldError::new(
            "reminders",
            "must be times such as 2026-03-01T09:00:00Z, or PT10M for ten minutes before, with ; between",
        )
    })
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let escaped = parts.map(|part| part.replace(ESCAPE, r"\\").replace(SEPARATOR, r"\;"));
    escaped.collect::<Vec<_>>().join(";")
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            SEPARATOR => parts.push(String::new()),
            // At the end it stands for itself.
            ESCAPE => parts.last_mut().into_iter().for_each(|part| part.push(chars.next().unwrap_or(ESCAPE))),
            c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    parts
}

/// Whether a spreadsheet may take the text for a formula, with or without apostrophes before it.
fn is_dangerous(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

fn guarded(text: &str) -> String {
    if is_dangerous(text) { format!("'{text}") } else { text.to_owned() }
}

fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|_| is_dangerous(text)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use todo_common::testing::Dice;

    use super::*;

    /// Tasks with texts of everything that a table could stumble over.
    fn tasks() -> Vec<Task> {
        const SIGNS: [&str; 20] = [
            "a", "ö", "🥛", ",", ";", "\"", "'", "\\", "\n", "\r", "\t", "=", "+", "-", "@", " ", "＝", "0", "PT",
            "\u{feff}",
        ];
        let mut dice = Dice::new(5545);
        let mut text = |most: i64| (0..dice.between(1, most)).map(|_| dice.of(&SIGNS)).collect::<String>();
        let task = |text: &mut dyn FnMut(i64) -> String| -> Task {
            serde_json::from_value(serde_json::json!({
                "id": uuid::Uuid::nil(), "user_id": "ada", "title": text(8), "notes": text(12), "status": "completed",
                "priority": "high", "tags": [text(3), text(3)], "due_at": "2026-03-01T09:00:00.123456Z", "due_date": null,
                "time_zone": "Europe/Berlin", "recurrence": {"rrule": "FREQ=DAILY"}, "completed_at": "2026-03-01T10:00:00Z",
                "reminders": [{"at": "2026-03-01T08:00:00Z"}, {"before_minutes": 10}], "series_id": null, "version": 3,
                "created_at": "2026-02-01T09:00:00Z", "updated_at": "2026-02-01T09:00:00Z",
            }))
            .unwrap()
        };
        (0..2000).map(|_| task(&mut text)).collect()
    }

    #[test]
    fn what_was_written_is_read_as_it_was() {
        let tasks = tasks();
        let read = read(&[header(), write(&tasks)].concat()).unwrap();
        assert_eq!(read.len(), tasks.len());
        for (task, (number, read)) in tasks.iter().zip(read) {
            let read = read.unwrap_or_else(|error| panic!("row {number}: {error:?}"));
            assert_eq!(
                (&read.task.title, read.task.notes.as_ref()),
                (&task.title, task.notes.as_ref()),
                "row {number}"
            );
            assert_eq!((&read.task.tags, &read.task.reminders), (&task.tags, &task.reminders), "row {number}");
            assert_eq!((read.status, read.completed_at), (Some(task.status), task.completed_at));
            assert_eq!((read.task.due_at, read.task.recurrence.as_ref()), (task.due_at, task.recurrence.as_ref()));
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for dangerous in ["=1+1", "+1", "-1", "@a", "\tx", "'=1", "＝1"] {
            assert_eq!(guarded(dangerous), format!("'{dangerous}"));
            assert_eq!(unguarded(&guarded(dangerous)), dangerous);
        }
        for harmless in ["a=b", "'quoted'", "", "1-2"] {
            assert_eq!(guarded(harmless), harmless);
            assert_eq!(unguarded(harmless), harmless);
        }
    }

    #[test]
    fn a_table_of_another_program_needs_a_title_and_may_have_more() {
        let table = "\u{feff}Title,colour,priority\r\nbuy milk,white,high\r\n\"a, b\"\r\nc,,huge\r\n";
        let rows = read(table.as_bytes()).unwrap();
        assert_eq!(rows[0].1.as_ref().unwrap().task.title, "buy milk");
        assert_eq!((rows[1].0, rows[1].1.as_ref().unwrap().task.title.as_str()), (3, "a, b"));
        assert_eq!((rows[2].0, rows[2].1.as_ref().unwrap_err().field.as_str()), (4, "priority"));
        assert!(read(b"name\r\na\r\n").is_err());
    }
}
