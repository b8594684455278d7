//! When a recurring task is due next. Rules are counted in civil time (what the clock on the user's wall shows) from the
//! first occurrence, and only then turned into instants: so 09:00 stays 09:00 over clock changes.

#[cfg(test)]
mod oracle;
mod rule;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Days, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use crate::tasks::{Due, Recurrence};

/// Longest pause after a completion, in days.
const MAX_DAYS: u16 = 3650;
/// Dates that are offered, so that one which is taken already can be passed over.
const CANDIDATES: usize = 32;

/// One date of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Unique in its series.
    pub key: String,
    /// When it is due.
    pub due: Due,
}

/// What is known of a series when one of its occurrences was completed.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// How it repeats.
    pub recurrence: &'a Recurrence,
    /// Due time or day of the first occurrence.
    pub start: Option<Due>,
    /// The completed occurrence.
    pub task_id: Uuid,
    /// When that was due.
    pub due: Option<Due>,
    /// The user's zone.
    pub zone: Tz,
}

/// Checks what a user wrote; the error is what to tell.
pub fn validate(recurrence: &Recurrence, start: Option<Due>, zone: Tz) -> Result<(), String> {
    match recurrence {
        Recurrence::AfterCompletionDays(days) if (1..=MAX_DAYS).contains(days) => Ok(()),
        Recurrence::AfterCompletionDays(_) => Err(format!("after_completion_days must be from 1 to {MAX_DAYS}")),
        Recurrence::Rrule(text) => {
            let rule = rule::Rule::parse(text)?;
            let start =
                start.ok_or("a rule needs due_at or due_date to count from; after_completion_days needs neither")?;
            let dates = rule.dates(start.civil(zone), zone)?;
            if dates.take(1).count() == 0 { Err("the rule has no date at all".to_owned()) } else { Ok(()) }
        }
    }
}

/// A rule as calendars take it (RFC 5545), counted from `due` on, which is a date of the series that begins at `start`. Nothing where
/// the standard has no words for it.
pub fn rule_from(recurrence: &Recurrence, start: Due, due: Due, zone: Tz) -> Option<String> {
    match recurrence {
        Recurrence::Rrule(text) => rule::Rule::parse(text).ok()?.counted_from(start.civil(zone), due, zone),
        Recurrence::AfterCompletionDays(_) => None,
    }
}

/// The key of the first occurrence.
pub fn first_key(due: Option<Due>, zone: Tz) -> String {
    due.map_or_else(|| "start".to_owned(), |due| key(due, zone))
}

/// The next date after a completion, or nothing when the rule has ended.
pub fn next_occurrence(series: &Series<'_>, completed_at: DateTime<Utc>) -> Option<Occurrence> {
    upcoming(series, completed_at).next()
}

/// The next dates, counted as far as they are asked for. They are in the future of both the due time and the completion:
/// what was missed is not made up for.
pub(crate) fn upcoming<'a>(series: &Series<'a>, completed_at: DateTime<Utc>) -> Upcoming<'a> {
    match series.recurrence {
        Recurrence::AfterCompletionDays(days) => Box::new(after_days(series, completed_at, *days).into_iter()),
        Recurrence::Rrule(text) => Box::new(after_rule(*series, completed_at, text).into_iter().flatten()),
    }
}

/// Dates of a series.
pub(crate) type Upcoming<'a> = Box<dyn Iterator<Item = Occurrence> + Send + 'a>;

fn after_days(series: &Series<'_>, completed_at: DateTime<Utc>, days: u16) -> Option<Occurrence> {
    let day = completed_at.with_timezone(&series.zone).date_naive().checked_add_days(Days::new(days.into()))?;
    let due = match series.due {
        Some(due @ Due::At(_)) => due.moved_to(day.and_time(due.civil(series.zone).time()), series.zone),
        Some(Due::On(_)) | None => Due::On(day),
    };
    // One completion makes one successor, whatever the day is.
    Some(Occurrence { key: format!("after-{}", series.task_id), due })
}

fn after_rule<'a>(
    series: Series<'a>,
    completed_at: DateTime<Utc>,
    text: &str,
) -> Option<impl Iterator<Item = Occurrence> + Send + use<'a>> {
    let due = series.due.or(series.start)?;
    let start = series.start.unwrap_or(due);
    let zone = series.zone;
    let dates = rule::Rule::parse(text).ok()?.dates(start.civil(zone), zone).ok()?;
    let occurrences = dates
        .map(move |civil| due.moved_to(civil, zone))
        .skip_while(move |next| !is_later(*next, due, completed_at, zone))
        .map(move |due| Occurrence { key: key(due, zone), due })
        .take(CANDIDATES);
    Some(occurrences)
}

fn is_later(next: Due, due: Due, completed_at: DateTime<Utc>, zone: Tz) -> bool {
    match next {
        Due::At(instant) => instant > due.instant(zone) && instant > completed_at,
        Due::On(day) => day > due.civil(zone).date() && day > completed_at.with_timezone(&zone).date_naive(),
    }
}

fn key(due: Due, zone: Tz) -> String {
    let civil = due.civil(zone);
    match due {
        Due::At(_) => civil.format("%Y-%m-%dT%H:%M:%S").to_string(),
        Due::On(_) => civil.format("%Y-%m-%d").to_string(),
    }
}
