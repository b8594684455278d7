//! When a recurring task is due next. Rules are counted in civil time (what the clock on the user's wall shows) from the
//! first occurrence, and only then turned into instants: so 09:00 stays 09:00 over clock changes.

#[cfg(test)]
mod oracle;
mod rule;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use crate::tasks::{Due, Recurrence};

/// Longest pause after a completion, in days.
const MAX_DAYS: u16 = 3650;
/// Ends the date in the key of an occurrence that is not the only one there.
const BESIDE: char = '+';
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

/// It cannot be told where a series goes on: nothing is found among as many dates as are looked at. That is not its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be told where the series goes on")]
pub struct GaveUp;

/// An occurrence in its series.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// How the series repeats.
    pub recurrence: &'a Recurrence,
    /// Due time or day from which the rule counts.
    pub start: Due,
    /// The occurrence's key.
    pub key: Option<&'a str>,
    /// When it is due, which may be another time than its place in the series says.
    pub due: Due,
    /// The user's zone.
    pub zone: Tz,
}

impl Place<'_> {
    /// The civil time of its place in the series.
    fn civil(&self) -> NaiveDateTime {
        let of_key = |key: &str| {
            let key = own_place(key);
            let day = || key.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN));
            key.parse::<NaiveDateTime>().ok().or_else(day)
        };
        // Where the rule counts from it, it is the first, whatever it was before.
        let by_key = if self.start == self.due { None } else { self.key.and_then(of_key) };
        by_key.unwrap_or_else(|| self.due.civil(self.zone))
    }

    /// What is left of the number of dates of a rule when it counts from `due` on, where this occurrence is or is moved to.
    fn left(&self, rule: &rule::Rule, due: Due, zone: Tz) -> Option<u32> {
        rule.left(self.start.civil(self.zone), self.civil(), self.zone, (due.civil(zone), zone))
    }
}

/// Whether a rule counts its dates.
pub fn is_counted(recurrence: &Recurrence) -> bool {
    matches!(recurrence, Recurrence::Rrule(text) if rule::Rule::parse(text).is_ok_and(|rule| rule.count().is_some()))
}

/// Whether a rule says when it ends.
pub fn ends(recurrence: &Recurrence) -> bool {
    matches!(recurrence, Recurrence::Rrule(text) if rule::Rule::parse(text).is_ok_and(|rule| rule.ends()))
}

/// A rule with what is left of its dates from `due` on, where the occurrence is or is moved to. Nothing if none is left.
pub fn left_from(place: &Place<'_>, due: Due, zone: Tz) -> Option<Recurrence> {
    let Recurrence::Rrule(text) = place.recurrence else { return None };
    let rule = rule::Rule::parse(text).ok()?;
    match rule.count() {
        Some(_) => Some(Recurrence::Rrule(rule::with_count(text, place.left(&rule, due, zone)?))),
        None => has_dates(&rule, due, zone).then(|| place.recurrence.clone()),
    }
}

/// Checks what a user wrote; the error is what to tell.
pub fn validate(recurrence: &Recurrence, start: Option<Due>, zone: Tz) -> Result<(), String> {
    validate_kept(recurrence, start)?;
    match (recurrence, start) {
        (Recurrence::Rrule(text), Some(start)) if !has_dates(&rule::Rule::parse(text)?, start, zone) => {
            Err("the rule has no date at all".to_owned())
        }
        _ => Ok(()),
    }
}

/// The same of what a task has already: its last occurrence may be moved to where no date is left.
pub fn validate_kept(recurrence: &Recurrence, start: Option<Due>) -> Result<(), String> {
    match recurrence {
        Recurrence::AfterCompletionDays(days) if (1..=MAX_DAYS).contains(days) => Ok(()),
        Recurrence::AfterCompletionDays(_) => Err(format!("after_completion_days must be from 1 to {MAX_DAYS}")),
        Recurrence::Rrule(text) => {
            let rule = rule::Rule::parse(text)?;
            if start.is_none() {
                return Err(
                    "a rule needs due_at or due_date to count from; after_completion_days needs neither".to_owned()
                );
            }
            if rule.count().is_some_and(|count| count > rule::MOST_COUNTED) {
                return Err(format!("COUNT is at most {}; a longer series ends with UNTIL", rule::MOST_COUNTED));
            }
            Ok(())
        }
    }
}

/// Whether there is a date at `start` or after it, when the rule counts from there.
fn has_dates(rule: &rule::Rule, start: Due, zone: Tz) -> bool {
    let start = start.civil(zone);
    rule.dates(start, start, zone).is_ok_and(|mut dates| dates.next().is_some())
}

/// A rule as calendars take it (RFC 5545), counted from this occurrence on. Nothing where the standard has no words for it, and
/// where no date is left.
pub fn rule_from(place: &Place<'_>) -> Option<String> {
    let Recurrence::Rrule(left) = left_from(place, place.due, place.zone)? else { return None };
    let rule = rule::Rule::parse(&left).ok()?;
    Some(rule.in_full(place.start.civil(place.zone), place.due, place.zone))
}

/// The key of the first occurrence.
pub fn first_key(due: Option<Due>, zone: Tz) -> String {
    due.map_or_else(|| "start".to_owned(), |due| key(due, zone))
}

/// The key of an occurrence that stands where another one has this key, or may have it.
pub fn beside(key: &str, task: Uuid) -> String {
    format!("{key}{BESIDE}{task}")
}

/// The key that an occurrence has where it stands beside no other one.
pub fn own_place(key: &str) -> &str {
    key.split_once(BESIDE).map_or(key, |(place, _)| place)
}

/// The next date after a completion, or nothing when the rule has ended.
pub fn next_occurrence(series: &Series<'_>, completed_at: DateTime<Utc>) -> Result<Option<Occurrence>, GaveUp> {
    upcoming(series, completed_at).next().transpose()
}

/// The next dates, counted as far as they are asked for. They are in the future of both the due time and the completion:
/// what was missed is not made up for. An error is the last one.
pub(crate) fn upcoming<'a>(series: &Series<'a>, completed_at: DateTime<Utc>) -> Upcoming<'a> {
    match series.recurrence {
        Recurrence::AfterCompletionDays(days) => Box::new(after_days(series, completed_at, *days).map(Ok).into_iter()),
        Recurrence::Rrule(text) => match after_rule(*series, completed_at, text) {
            Some(dates) => Box::new(dates),
            // It was read when it was written.
            None => Box::new(std::iter::once(Err(GaveUp))),
        },
    }
}

/// Dates of a series.
pub(crate) type Upcoming<'a> = Box<dyn Iterator<Item = Result<Occurrence, GaveUp>> + Send + 'a>;

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
) -> Option<impl Iterator<Item = Result<Occurrence, GaveUp>> + Send + use<'a>> {
    let due = series.due.or(series.start)?;
    let start = series.start.unwrap_or(due);
    let zone = series.zone;
    let after = due.instant(zone).max(completed_at).with_timezone(&zone).naive_local();
    // No clock was ever moved by more than a day.
    let near = after.checked_sub_days(Days::new(2)).unwrap_or(after);
    let dates = rule::Rule::parse(text).ok()?.dates(start.civil(zone), near, zone).ok()?;
    let occurrences = dates
        .map(move |civil| civil.map(|civil| due.moved_to(civil, zone)))
        .skip_while(move |next| next.is_ok_and(|next| !is_later(next, due, completed_at, zone)))
        .enumerate()
        .map(move |(number, next)| {
            let next = if number < CANDIDATES { next } else { Err(GaveUp) };
            next.map(|due| Occurrence { key: key(due, zone), due })
        });
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
