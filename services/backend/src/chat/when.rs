//! Days and times of day at the end of a sentence: "tomorrow 9am", "on friday at 18:00", "in 20 minutes", "every monday".

use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use todo_common::tasks::{self, Due};

use super::words::Word;

/// The moment of the sentence and the zone that its words are meant in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// When the sentence was said.
    pub(crate) now: DateTime<Utc>,
    /// Zone of the person who said it.
    pub(crate) zone: Tz,
}

impl Clock {
    fn local(&self) -> NaiveDateTime {
        self.now.with_timezone(&self.zone).naive_local()
    }

    /// Today in the person's zone.
    pub(crate) fn today(&self) -> NaiveDate {
        self.local().date()
    }

    /// The moment of a local time.
    pub(crate) fn moment(&self, local: NaiveDateTime) -> DateTime<Utc> {
        tasks::to_instant(local, self.zone)
    }
}

/// What the words at the end of a sentence say about time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    day: Option<NaiveDate>,
    time: Option<NaiveTime>,
    exact: Option<DateTime<Utc>>,
    every: Option<Every>,
}

/// How often a task comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Every {
    Day,
    Workday,
    Week,
    Month,
    Year,
    Weekday(Weekday),
}

impl Every {
    /// The rule as RFC 5545 writes it.
    pub(crate) fn rrule(self) -> String {
        match self {
            Self::Day => "FREQ=DAILY".into(),
            Self::Workday => "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR".into(),
            Self::Week => "FREQ=WEEKLY".into(),
            Self::Month => "FREQ=MONTHLY".into(),
            Self::Year => "FREQ=YEARLY".into(),
            Self::Weekday(day) => format!("FREQ=WEEKLY;BYDAY={}", day.to_string()[..2].to_uppercase()),
        }
    }
}

impl When {
    /// Whether the words said nothing about time.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How often.
    pub(crate) fn every(&self) -> Option<Every> {
        self.every
    }

    /// The due day or moment. A time without a day is the next such time; "every …" without a day starts at its first day.
    pub(crate) fn due(&self, clock: &Clock) -> Option<Due> {
        if let Some(exact) = self.exact {
            return Some(Due::At(exact));
        }
        let day = self.day.or_else(|| self.every.map(|every| first_day(every, clock, self.time)));
        match (day, self.time) {
            (Some(day), Some(time)) => Some(Due::At(clock.moment(day.and_time(time)))),
            (Some(day), None) => Some(Due::On(day)),
            (None, Some(time)) => Some(Due::At(clock.moment(next_day_with(time, clock).and_time(time)))),
            (None, None) => None,
        }
    }

    /// The due moment; a day alone means its morning, 09:00.
    pub(crate) fn moment(&self, clock: &Clock) -> Option<DateTime<Utc>> {
        match self.due(clock)? {
            Due::At(moment) => Some(moment),
            Due::On(day) => Some(clock.moment(day.and_time(MORNING))),
        }
    }

    fn merge(self, other: Self) -> Option<Self> {
        let clash = (self.day.is_some() && other.day.is_some())
            || (self.time.is_some() && other.time.is_some())
            || (self.every.is_some() && other.every.is_some())
            || self.exact.is_some()
            || other.exact.is_some();
        (self.is_empty() || other.is_empty() || !clash).then_some(Self {
            day: self.day.or(other.day),
            time: self.time.or(other.time),
            exact: self.exact.or(other.exact),
            every: self.every.or(other.every),
        })
    }
}

const MORNING: NaiveTime = NaiveTime::from_hms_opt(9, 0, 0).expect("09:00 is a time");
const EVENING: NaiveTime = NaiveTime::from_hms_opt(20, 0, 0).expect("20:00 is a time");
const NOON: NaiveTime = NaiveTime::from_hms_opt(12, 0, 0).expect("12:00 is a time");

/// No phrase is longer: `in 20 minutes`, `at 9 am`, `every monday`.
const LONGEST: usize = 3;
/// "in n days" reaches ten years at most, so that no sum of dates can overflow.
const FARTHEST_DAYS: u64 = 3660;

/// Takes the words about time off the end of `words`.
pub(crate) fn take_last<'a, 'b>(mut words: &'b [Word<'a>], clock: &Clock) -> (&'b [Word<'a>], When) {
    let mut when = When::default();
    'phrases: loop {
        for length in (1..=LONGEST.min(words.len())).rev() {
            let (rest, phrase) = words.split_at(words.len() - length);
            if let Some(merged) = read(phrase, clock).and_then(|found| when.merge(found)) {
                (words, when) = (rest, merged);
                continue 'phrases;
            }
        }
        return (words, when);
    }
}

/// Takes the words about time off the front of `words`.
pub(crate) fn take_first<'a, 'b>(mut words: &'b [Word<'a>], clock: &Clock) -> (&'b [Word<'a>], When) {
    let mut when = When::default();
    'phrases: loop {
        for length in (1..=LONGEST.min(words.len())).rev() {
            let (phrase, rest) = words.split_at(length);
            if let Some(merged) = read(phrase, clock).and_then(|found| when.merge(found)) {
                (words, when) = (rest, merged);
                continue 'phrases;
            }
        }
        return (words, when);
    }
}

/// One phrase, with or without the small word before it.
fn read(phrase: &[Word<'_>], clock: &Clock) -> Option<When> {
    let phrase: Vec<&str> = phrase.iter().map(Word::plain).collect();
    match phrase.as_slice() {
        ["in", count, unit] => later(count, unit, clock),
        ["every", unit] => every(unit),
        ["daily"] => every("day"),
        ["weekly"] => every("week"),
        ["monthly"] => every("month"),
        ["yearly"] => every("year"),
        ["at", hour] => of_time(time(hour).or_else(|| hour_only(hour))),
        ["at", hour, half] | [hour, half] if matches!(*half, "am" | "pm") => of_time(time(&format!("{hour}{half}"))),
        ["on" | "by" | "due" | "for" | "until", rest] => day(rest, clock),
        ["on" | "by" | "due" | "for" | "until", "next" | "this", name] | ["next" | "this", name] => {
            of_day(weekday(name).map(|name| coming(name, clock)))
        }
        [word] => day(word, clock).or_else(|| of_time(time(word))),
        _ => None,
    }
}

fn of_day(day: Option<NaiveDate>) -> Option<When> {
    day.map(|day| When { day: Some(day), ..When::default() })
}

fn of_time(time: Option<NaiveTime>) -> Option<When> {
    time.map(|time| When { time: Some(time), ..When::default() })
}

fn later(count: &str, unit: &str, clock: &Clock) -> Option<When> {
    let count: u64 = match count {
        "a" | "an" | "one" => 1,
        digits => digits.parse().ok()?,
    };
    let minutes = |factor: u64| {
        let minutes = count.checked_mul(factor).filter(|minutes| *minutes <= FARTHEST_DAYS * 24 * 60)?;
        let exact = clock.now.checked_add_signed(Duration::minutes(i64::try_from(minutes).ok()?))?;
        Some(When { exact: Some(exact.with_nanosecond(0)?), ..When::default() })
    };
    let days = |factor: u64| {
        let days = count.checked_mul(factor).filter(|days| *days <= FARTHEST_DAYS)?;
        of_day(clock.today().checked_add_days(Days::new(days)))
    };
    match unit {
        "minute" | "minutes" | "min" | "mins" => minutes(1),
        "hour" | "hours" | "h" => minutes(60),
        "day" | "days" => days(1),
        "week" | "weeks" => days(7),
        _ => None,
    }
}

fn every(unit: &str) -> Option<When> {
    let every = match unit {
        "day" => Every::Day,
        "weekday" | "workday" => Every::Workday,
        "week" => Every::Week,
        "month" => Every::Month,
        "year" => Every::Year,
        name => Every::Weekday(weekday(name)?),
    };
    Some(When { every: Some(every), ..When::default() })
}

fn day(word: &str, clock: &Clock) -> Option<When> {
    match word {
        "today" => of_day(Some(clock.today())),
        "tonight" => Some(When { day: Some(clock.today()), time: Some(EVENING), ..When::default() }),
        "tomorrow" => of_day(Some(clock.today() + Days::new(1))),
        word => of_day(weekday(word).map(|name| coming(name, clock))).or_else(|| iso(word, clock)),
    }
}

/// `2026-12-01`, `2026-12-01T09:00`, `2026-12-01T09:00:00Z`.
fn iso(word: &str, clock: &Clock) -> Option<When> {
    if let Ok(date) = word.parse() {
        return of_day(Some(date));
    }
    let exact = DateTime::parse_from_rfc3339(word).map(|time| time.to_utc()).ok().or_else(|| {
        let local = ["%Y-%m-%dt%H:%M", "%Y-%m-%dt%H:%M:%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(word, format).ok())?;
        Some(clock.moment(local))
    })?;
    Some(When { exact: Some(exact), ..When::default() })
}

fn weekday(word: &str) -> Option<Weekday> {
    // chrono reads "mon" and "monday" alike, but "sun", "sat" and "wed" are words of titles too.
    if word.len() >= 6 { word.parse().ok() } else { None }
}

/// The next such day after today.
fn coming(name: Weekday, clock: &Clock) -> NaiveDate {
    let today = clock.today();
    let ahead = match name.days_since(today.weekday()) {
        0 => 7,
        days => days,
    };
    today + Days::new(ahead.into())
}

fn first_day(every: Every, clock: &Clock, time: Option<NaiveTime>) -> NaiveDate {
    let start = time.map_or_else(|| clock.today(), |time| next_day_with(time, clock));
    let fits = |day: &NaiveDate| match every {
        Every::Weekday(name) => day.weekday() == name,
        Every::Workday => day.weekday().num_days_from_monday() < 5,
        Every::Day | Every::Week | Every::Month | Every::Year => true,
    };
    start.iter_days().find(fits).unwrap_or(start)
}

/// Today if `time` is still to come, else tomorrow.
fn next_day_with(time: NaiveTime, clock: &Clock) -> NaiveDate {
    let now = clock.local();
    if time > now.time() { now.date() } else { now.date() + Days::new(1) }
}

/// `9am`, `9:30pm`, `18:00`, `noon`.
fn time(word: &str) -> Option<NaiveTime> {
    if word == "noon" {
        return Some(NOON);
    }
    let (clock, add) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(clock), _) => (clock, Some(0)),
        (_, Some(clock)) => (clock, Some(12)),
        _ => (word, None),
    };
    let (hour, minute) = clock.split_once(':').map_or((clock, None), |(hour, minute)| (hour, Some(minute)));
    let minute: u32 = match minute {
        Some(text) if text.len() == 2 => text.parse().ok()?,
        Some(_) => return None,
        None if add.is_none() => return None,
        None => 0,
    };
    let hour: u32 = hour.parse().ok()?;
    let hour = match add {
        Some(add) if (1..=12).contains(&hour) => hour % 12 + add,
        Some(_) => return None,
        None => hour,
    };
    NaiveTime::from_hms_opt(hour, minute, 0)
}

/// `at 9` means 09:00, `at 18` 18:00. Only after "at": a bare number is part of a title.
fn hour_only(word: &str) -> Option<NaiveTime> {
    NaiveTime::from_hms_opt(word.parse().ok()?, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::words;

    /// Wednesday, 25 November 2026, 10:00 in Berlin.
    fn clock() -> Clock {
        Clock { now: "2026-11-25T09:00:00Z".parse().unwrap(), zone: Tz::Europe__Berlin }
    }

    fn said(sentence: &str) -> (String, Option<Due>) {
        let words = words::split(sentence);
        let (rest, when) = take_last(&words, &clock());
        (words::join(rest), when.due(&clock()))
    }

    /// A day or a moment; nothing for an empty text.
    fn due(text: &str) -> Option<Due> {
        text.parse().map(Due::On).or_else(|_| text.parse().map(Due::At)).ok()
    }

    #[test]
    fn words_about_time_are_taken_off_the_end_of_a_title() {
        for (sentence, title, due) in [
            ("buy milk", "buy milk", due("")),
            ("buy milk today", "buy milk", due("2026-11-25")),
            ("buy milk tomorrow 9am", "buy milk", due("2026-11-26T08:00:00Z")),
            ("buy milk at 9am tomorrow", "buy milk", due("2026-11-26T08:00:00Z")),
            ("call mom at 18:00", "call mom", due("2026-11-25T17:00:00Z")),
            ("call mom at 9", "call mom", due("2026-11-26T08:00:00Z")),
            ("call mom 9:30 pm", "call mom", due("2026-11-25T20:30:00Z")),
            ("call mom at noon", "call mom", due("2026-11-25T11:00:00Z")),
            ("call mom tonight", "call mom", due("2026-11-25T19:00:00Z")),
            ("call mom in 20 minutes", "call mom", due("2026-11-25T09:20:00Z")),
            ("call mom in an hour", "call mom", due("2026-11-25T10:00:00Z")),
            ("call mom in 3 days", "call mom", due("2026-11-28")),
            ("call mom in 2 weeks at 08:15", "call mom", due("2026-12-09T07:15:00Z")),
            ("report on friday", "report", due("2026-11-27")),
            ("report by next wednesday", "report", due("2026-12-02")),
            ("report 2026-12-24", "report", due("2026-12-24")),
            ("report 2026-12-24T18:30", "report", due("2026-12-24T17:30:00Z")),
            ("report 2026-12-24T18:30:00Z", "report", due("2026-12-24T18:30:00Z")),
            ("gym every monday 7am", "gym", due("2026-11-30T06:00:00Z")),
            ("water plants every day", "water plants", due("2026-11-25")),
        ] {
            assert_eq!(said(sentence), (title.to_owned(), due), "{sentence}");
        }
    }

    #[test]
    fn words_of_a_title_are_not_mistaken_for_a_time() {
        for title in [
            "buy 12 eggs",
            "meet at the station",
            "sit in the sun",
            "read catch 22",
            "call in 99999999999 days",
            "look at 99",
        ] {
            assert_eq!(said(title), (title.to_owned(), None), "{title}");
        }
    }

    #[test]
    fn a_local_time_that_the_clock_change_skips_is_later_by_what_is_missing() {
        let clock = Clock { now: "2026-03-28T12:00:00Z".parse().unwrap(), zone: Tz::Europe__Berlin };
        let words = words::split("backup tomorrow 2:30am");
        assert_eq!(take_last(&words, &clock).1.due(&clock), due("2026-03-29T01:30:00Z"));
        let clock = Clock { now: "2026-10-03T00:00:00Z".parse().unwrap(), zone: Tz::Australia__Lord_Howe };
        let words = words::split("backup tomorrow 2:15am");
        assert_eq!(take_last(&words, &clock).1.due(&clock), due("2026-10-03T15:45:00Z"), "there by half an hour");
    }

    #[test]
    fn repetition_is_written_as_rfc_5545_does() {
        assert_eq!(Every::Weekday(Weekday::Mon).rrule(), "FREQ=WEEKLY;BYDAY=MO");
        assert_eq!(Every::Workday.rrule(), "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR");
    }
}
