//! RFC 5545 rules, read and counted in civil time. The crate `rrule` counts in UTC here, where no clock ever changes.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rrule::{Frequency, RRule, RRuleSet, Unvalidated};

use crate::tasks::{Due, to_instant};

/// Longest rule, in bytes.
const LIMIT: usize = 500;
/// No date is after this year.
const LAST_YEAR: i32 = 2200;
/// Times on one day; without a limit, a rule of a few hundred characters has a date for each second.
const TIMES_A_DAY: usize = 24;
/// Dates that are looked at from the start on; a series ends with them. Every day from 1970 to 2200 is less than half of it.
const STEPS: usize = 200_000;

/// A rule, and its end, which is kept apart because `rrule` would compare it with civil times.
#[derive(Debug)]
pub(super) struct Rule {
    rule: RRule<Unvalidated>,
    until: Option<Until>,
}

/// The last moment of a rule, in the three forms that the standard has.
#[derive(Clone, Copy, Debug)]
enum Until {
    Day(NaiveDate),
    Civil(NaiveDateTime),
    Instant(DateTime<Utc>),
}

impl Rule {
    /// The error is what to tell the user.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LIMIT || text.chars().any(char::is_control) {
            return Err(format!("a rule is one line of at most {LIMIT} characters"));
        }
        let text = text.trim().to_ascii_uppercase();
        let text = text.strip_prefix("RRULE:").unwrap_or(&text);
        let (ends, parts): (Vec<&str>, Vec<&str>) =
            text.split(';').filter(|part| !part.is_empty()).partition(|part| part.starts_with("UNTIL="));
        let until = ends.first().map(|end| Until::parse(end.trim_start_matches("UNTIL="))).transpose()?;
        let rule: RRule<Unvalidated> =
            parts.join(";").parse().map_err(|error| format!("not a rule such as FREQ=WEEKLY;BYDAY=MO: {error}"))?;
        let times = [rule.get_by_hour(), rule.get_by_minute(), rule.get_by_second()].map(|times| times.len().max(1));
        if times.into_iter().product::<usize>() > TIMES_A_DAY {
            return Err(format!("BYHOUR, BYMINUTE and BYSECOND together may make at most {TIMES_A_DAY} times a day"));
        }
        match rule.get_freq() {
            Frequency::Daily | Frequency::Weekly | Frequency::Monthly | Frequency::Yearly => Ok(Self { rule, until }),
            _ => Err("FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY".to_owned()),
        }
    }

    /// All dates from `start` on, in order, [`STEPS`] at most.
    pub(super) fn dates(
        self,
        start: NaiveDateTime,
        zone: Tz,
    ) -> Result<impl Iterator<Item = NaiveDateTime> + Send + use<>, String> {
        let until = self.until;
        let civil_start = start.and_utc().with_timezone(&rrule::Tz::UTC);
        let rule = at_month_end(self.rule, start).validate(civil_start).map_err(|error| error.to_string())?;
        // Limited: a rule that has no date, such as 30 February, is searched for a while and not for ever.
        let dates = RRuleSet::new(civil_start).rrule(rule).limit();
        Ok(dates
            .into_iter()
            .take(STEPS)
            .map(|date| date.naive_utc())
            .take_while(move |date| date.year() <= LAST_YEAR && until.is_none_or(|until| until.allows(*date, zone))))
    }

    /// The rule in full, as if the series began at `due`: with what is left of its number of dates, and with an end of the same kind
    /// as `due`.
    pub(super) fn counted_from(self, start: NaiveDateTime, due: Due, zone: Tz) -> Option<String> {
        let until = self.until;
        let mut rule = at_month_end(self.rule.clone(), start);
        if let Some(count) = rule.get_count() {
            let first = due.civil(zone);
            let passed = self.dates(start, zone).ok()?.take_while(|date| *date < first).count();
            let left = count.checked_sub(u32::try_from(passed).ok()?).filter(|left| *left > 0)?;
            rule = rule.count(left);
        }
        let end = until.map(|until| format!(";UNTIL={}", until.of_kind(due, zone))).unwrap_or_default();
        Some(format!("{rule}{end}"))
    }
}

/// Makes "monthly from the 31st" mean the last day of shorter months, and "yearly from 29 February" 28 February in most
/// years, as people expect. By the letter of the standard such months and years would be skipped.
fn at_month_end(rule: RRule<Unvalidated>, start: NaiveDateTime) -> RRule<Unvalidated> {
    let says_when = !rule.get_by_month_day().is_empty()
        || !rule.get_by_weekday().is_empty()
        || !rule.get_by_year_day().is_empty()
        || !rule.get_by_week_no().is_empty()
        || !rule.get_by_set_pos().is_empty()
        || !rule.get_by_hour().is_empty()
        || !rule.get_by_minute().is_empty()
        || !rule.get_by_second().is_empty();
    let day = i8::try_from(start.day()).unwrap_or(31);
    let leap_day = (start.month(), day) == (2, 29) && rule.get_by_month().is_empty();
    let last_of = |rule: RRule<Unvalidated>| rule.by_month_day((28..=day).collect()).by_set_pos(vec![-1]);
    match rule.get_freq() {
        Frequency::Monthly if day > 28 && !says_when => last_of(rule),
        Frequency::Yearly if leap_day && !says_when => last_of(rule.by_month(&[chrono::Month::February])),
        _ => rule,
    }
}

impl Until {
    fn parse(text: &str) -> Result<Self, String> {
        const CIVIL: &str = "%Y%m%dT%H%M%S";
        let civil = |text| NaiveDateTime::parse_from_str(text, CIVIL).ok();
        NaiveDate::parse_from_str(text, "%Y%m%d")
            .ok()
            .map(Self::Day)
            .or_else(|| civil(text).map(Self::Civil))
            .or_else(|| civil(text.strip_suffix('Z')?).map(|time| Self::Instant(time.and_utc())))
            .ok_or_else(|| "UNTIL is written 20261231, 20261231T235959 or 20261231T235959Z".to_owned())
    }

    /// As the standard has it: a day where the series has days, and UTC where it has times.
    fn of_kind(self, due: Due, zone: Tz) -> String {
        let end_of =
            |day: NaiveDate| day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(chrono::NaiveTime::MIN);
        let instant = match self {
            Self::Day(day) => to_instant(end_of(day), zone) - TimeDelta::seconds(1),
            Self::Civil(time) => to_instant(time, zone),
            Self::Instant(instant) => instant,
        };
        match (due, self) {
            (Due::On(_), Self::Day(day)) => day.format("%Y%m%d").to_string(),
            (Due::On(_), Self::Civil(time)) => time.format("%Y%m%d").to_string(),
            (Due::On(_), Self::Instant(_)) => instant.with_timezone(&zone).format("%Y%m%d").to_string(),
            (Due::At(_), _) => instant.format("%Y%m%dT%H%M%SZ").to_string(),
        }
    }

    fn allows(self, date: NaiveDateTime, zone: Tz) -> bool {
        match self {
            Self::Day(last) => date.date() <= last,
            Self::Civil(last) => date <= last,
            Self::Instant(last) => to_instant(date, zone) <= last,
        }
    }
}
