//! A task's content after all checks, whether it is new or changed.

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use chrono_tz::Tz;

use super::{Due, NewTask, Priority, Recurrence, Reminder, Task, TaskError, TaskPatch};
use crate::{problem::FieldError, recurrence};

const TITLE: usize = 200;
const NOTES: usize = 10_000;
const TAGS: usize = 20;
const TAG: usize = 50;
const REMINDERS: usize = 10;
/// A year.
const BEFORE_MINUTES: u32 = 366 * 24 * 60;
pub(super) const YEARS: std::ops::RangeInclusive<i32> = 1970..=2200;

/// What a user may write of a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) notes: Option<String>,
    pub(super) priority: Priority,
    pub(super) tags: Vec<String>,
    pub(super) due: Option<Due>,
    pub(super) zone: Tz,
    pub(super) recurrence: Option<Recurrence>,
    pub(super) reminders: Vec<Reminder>,
}

impl Draft {
    pub(super) fn new(new: NewTask) -> Result<Self, TaskError> {
        let mut mistakes = Mistakes::default();
        mistakes.commas(&new.tags, &[]);
        let draft = Self {
            due: mistakes.due(new.due_at, new.due_date.map(Due::On)),
            zone: mistakes.zone(new.time_zone.as_deref().unwrap_or("UTC")),
            title: new.title,
            notes: new.notes,
            priority: new.priority,
            tags: new.tags,
            recurrence: new.recurrence,
            reminders: new.reminders,
        };
        draft.checked(mistakes, None)
    }

    /// What is written of a task already.
    pub(super) fn of(task: &Task) -> Self {
        Self {
            title: task.title.clone(),
            notes: task.notes.clone(),
            priority: task.priority,
            tags: task.tags.clone(),
            due: task.due(),
            zone: zone_of(task),
            recurrence: task.recurrence.clone(),
            reminders: task.reminders.clone(),
        }
    }

    pub(super) fn patched(mut self, patch: TaskPatch) -> Result<Self, TaskError> {
        let mut mistakes = Mistakes::default();
        let replaced = mistakes.due(patch.due_at.flatten(), patch.due_date.flatten().map(Due::On));
        let removed = match self.due {
            Some(Due::At(_)) => patch.due_at == Some(None),
            Some(Due::On(_)) => patch.due_date == Some(None),
            None => false,
        };
        self.due = replaced.or(if removed { None } else { self.due });
        if let Some(zone) = patch.time_zone {
            self.zone = mistakes.zone(&zone);
        }
        self.title = patch.title.unwrap_or(self.title);
        self.notes = patch.notes.unwrap_or(self.notes);
        self.priority = patch.priority.unwrap_or(self.priority);
        if let Some(tags) = patch.tags {
            mistakes.commas(&tags, &self.tags);
            self.tags = tags;
        }
        let before = self.recurrence.clone();
        self.recurrence = patch.recurrence.unwrap_or(self.recurrence);
        self.reminders = patch.reminders.unwrap_or(self.reminders);
        self.checked(mistakes, before.as_ref())
    }

    /// `before`: how the task repeats until now.
    fn checked(mut self, mut mistakes: Mistakes, before: Option<&Recurrence>) -> Result<Self, TaskError> {
        self.title = trimmed(&self.title);
        self.notes = self.notes.filter(|notes| !notes.trim().is_empty());
        self.tags = mistakes.tags(&self.tags);
        mistakes.text("title", &self.title, 1..=TITLE);
        mistakes.text("notes", self.notes.as_deref().unwrap_or_default(), 0..=NOTES);
        let rule = self.recurrence.as_ref().map_or(Ok(()), |rule| match before {
            Some(before) if before == rule => recurrence::validate_kept(rule, self.due),
            _ => recurrence::validate(rule, self.due, self.zone),
        });
        if let Err(words) = rule {
            let field = match self.recurrence {
                Some(Recurrence::AfterCompletionDays(_)) => "recurrence.after_completion_days",
                _ => "recurrence.rrule",
            };
            mistakes.add(field, words);
        }
        mistakes.reminders(&mut self.reminders, self.due);
        if mistakes.0.is_empty() { Ok(self) } else { Err(TaskError::Invalid(mistakes.0)) }
    }

    /// The instants at which to remind, in order.
    pub(super) fn reminder_times(&self) -> Vec<DateTime<Utc>> {
        let due = self.due.map(|due| due.instant(self.zone));
        let mut times: Vec<_> = match (&self.reminders[..], self.due) {
            ([], Some(Due::At(instant))) => vec![instant],
            (reminders, _) => reminders
                .iter()
                .filter_map(|reminder| match reminder {
                    Reminder::At(instant) => Some(*instant),
                    Reminder::BeforeMinutes(minutes) => Some(due? - chrono::TimeDelta::minutes(i64::from(*minutes))),
                })
                .collect(),
        };
        times.sort_unstable();
        times.dedup();
        times
    }
}

fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

/// The zone was checked when it was written; one that a later release of the zone data has dropped is UTC.
pub(super) fn zone_of(task: &Task) -> Tz {
    task.time_zone.parse().unwrap_or(Tz::UTC)
}

#[derive(Default)]
struct Mistakes(Vec<FieldError>);

impl Mistakes {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    fn text(&mut self, field: &str, text: &str, length: std::ops::RangeInclusive<usize>) {
        if !length.contains(&text.chars().count()) {
            self.add(field, format!("must have {} to {} characters", length.start(), length.end()));
        }
        // PostgreSQL's text cannot hold it.
        if text.contains('\0') {
            self.add(field, "must not have the character zero");
        }
    }

    fn due(&mut self, at: Option<DateTime<Utc>>, on: Option<Due>) -> Option<Due> {
        if at.is_some() && on.is_some() {
            self.add("due_date", "write due_at or due_date, not both");
        }
        // The precision of the database: what is answered is what is stored.
        let due = at.map(|at| Due::At(at.trunc_subsecs(6))).or(on);
        if due.is_some_and(|due| !YEARS.contains(&due.civil(Tz::UTC).year())) {
            self.add(if at.is_some() { "due_at" } else { "due_date" }, "must be in the years 1970 to 2200");
        }
        due
    }

    fn zone(&mut self, name: &str) -> Tz {
        name.parse().unwrap_or_else(|_| {
            self.add("time_zone", "must be an IANA name such as Europe/Berlin");
            Tz::UTC
        })
    }

    fn tags(&mut self, tags: &[String]) -> Vec<String> {
        // First, because the rest takes time and words for each.
        if tags.len() > TAGS {
            self.add("tags", format!("at most {TAGS}"));
            return Vec::new();
        }
        let mut kept: Vec<String> = Vec::new();
        for (place, tag) in tags.iter().map(|tag| tag.trim()).enumerate() {
            self.text(&format!("tags[{place}]"), tag, 1..=TAG);
            if !kept.iter().any(|known| known == tag) {
                kept.push(tag.to_owned());
            }
        }
        kept
    }

    /// In a list's filter a comma separates tags: one with a comma could not be looked for. Those that a task has had may stay. Too
    /// many are one mistake, of [`Mistakes::tags`].
    fn commas(&mut self, tags: &[String], known: &[String]) {
        if tags.len() > TAGS {
            return;
        }
        let is_new = |tag: &str| !known.iter().any(|known| known == tag.trim());
        for (place, _) in tags.iter().enumerate().filter(|(_, tag)| tag.contains(',') && is_new(tag)) {
            self.add(&format!("tags[{place}]"), "must have no comma");
        }
    }

    fn reminders(&mut self, reminders: &mut [Reminder], due: Option<Due>) {
        if reminders.len() > REMINDERS {
            self.add("reminders", format!("at most {REMINDERS}"));
            return;
        }
        for (place, reminder) in reminders.iter_mut().enumerate() {
            let field = |name: &str| format!("reminders[{place}].{name}");
            match reminder {
                Reminder::At(at) if !YEARS.contains(&at.year()) => {
                    self.add(&field("at"), "must be in the years 1970 to 2200");
                }
                Reminder::At(at) => *at = at.trunc_subsecs(6),
                Reminder::BeforeMinutes(_) if due.is_none() => {
                    self.add(&field("before_minutes"), "needs due_at or due_date");
                }
                Reminder::BeforeMinutes(minutes) if *minutes > BEFORE_MINUTES => {
                    self.add(&field("before_minutes"), "must be at most a year");
                }
                Reminder::BeforeMinutes(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(result: Result<Draft, TaskError>) -> Vec<String> {
        match result.unwrap_err() {
            TaskError::Invalid(errors) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other}"),
        }
    }

    fn due() -> DateTime<Utc> {
        "2026-03-01T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let new = NewTask {
            title: " ".to_owned(),
            notes: Some("x".repeat(NOTES + 1)),
            tags: vec![String::new()],
            time_zone: Some("Mars/Olympus".to_owned()),
            recurrence: Some(Recurrence::Rrule("FREQ=DAILY".to_owned())),
            reminders: vec![Reminder::BeforeMinutes(5)],
            ..NewTask::default()
        };
        assert_eq!(
            fields(Draft::new(new)),
            ["time_zone", "tags[0]", "title", "notes", "recurrence.rrule", "reminders[0].before_minutes"]
        );
    }

    #[test]
    fn too_many_tags_or_reminders_are_one_mistake_each_whatever_they_are() {
        let tags = vec![",".to_owned(); 100_000];
        let reminders = vec![Reminder::BeforeMinutes(u32::MAX); 100_000];
        let new = NewTask { tags, reminders, ..NewTask::titled("a") };
        assert_eq!(fields(Draft::new(new)), ["tags", "reminders"]);
    }

    #[test]
    fn no_tag_gets_a_comma_and_one_that_has_it_keeps_nothing_from_being_changed() {
        let tagged = |tag: &str| NewTask { tags: vec![tag.to_owned()], ..NewTask::titled("a") };
        assert_eq!(fields(Draft::new(tagged("b,c"))), ["tags[0]"]);
        let old = Draft { tags: vec!["b,c".to_owned()], ..Draft::new(tagged("b")).unwrap() };
        let tags = |tags: &[&str]| TaskPatch {
            tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            ..TaskPatch::default()
        };
        for patch in [TaskPatch { title: Some("d".to_owned()), ..TaskPatch::default() }, tags(&["b,c", "d"])] {
            assert!(old.clone().patched(patch).is_ok());
        }
        assert_eq!(fields(old.patched(tags(&["b,c", "d,e"]))), ["tags[1]"]);
    }

    #[test]
    fn a_title_has_up_to_200_characters_of_any_script() {
        assert!(Draft::new(NewTask::titled("ö".repeat(200))).is_ok());
        assert_eq!(fields(Draft::new(NewTask::titled("ö".repeat(201)))), ["title"]);
        assert_eq!(fields(Draft::new(NewTask::titled("a\0"))), ["title"]);
    }

    #[test]
    fn a_due_time_and_a_due_day_exclude_and_replace_each_other() {
        let day = "2026-03-02".parse().unwrap();
        let both = NewTask { due_at: Some(due()), due_date: Some(day), ..NewTask::titled("a") };
        assert_eq!(fields(Draft::new(both)), ["due_date"]);
        let timed = Draft::new(NewTask { due_at: Some(due()), ..NewTask::titled("a") }).unwrap();
        let patch = TaskPatch { due_date: Some(Some(day)), ..TaskPatch::default() };
        assert_eq!(timed.clone().patched(patch).unwrap().due, Some(Due::On(day)));
        let patch = TaskPatch { due_at: Some(None), ..TaskPatch::default() };
        assert_eq!(timed.patched(patch).unwrap().due, None);
    }

    #[test]
    fn a_due_time_alone_reminds_when_it_is_reached() {
        let draft = Draft::new(NewTask { due_at: Some(due()), ..NewTask::titled("a") }).unwrap();
        assert_eq!(draft.reminder_times(), [due()]);
        assert!(Draft::new(NewTask::titled("a")).unwrap().reminder_times().is_empty());
    }

    #[test]
    fn reminders_replace_that_and_come_in_order_without_duplicates() {
        let ten_before = due() - chrono::TimeDelta::minutes(10);
        let reminders = vec![Reminder::At(due()), Reminder::BeforeMinutes(10), Reminder::At(ten_before)];
        let draft = Draft::new(NewTask { due_at: Some(due()), reminders, ..NewTask::titled("a") }).unwrap();
        assert_eq!(draft.reminder_times(), [ten_before, due()]);
    }
}
