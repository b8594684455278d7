//! RFC 5545 rules, read and counted in civil time. The crate `rrule` counts in UTC here, where no clock ever changes.

use std::{collections::BTreeSet, iter};

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc, Weekday,
};
use chrono_tz::Tz;
use rrule::{Frequency, NWeekday, RRule, RRuleSet, Unvalidated};

use super::GaveUp;
use crate::tasks::{Due, to_instant};

/// Longest rule, in bytes.
const LIMIT: usize = 500;
/// No date is after this year.
const LAST_YEAR: i32 = 2200;
/// Times on one day; without a limit, a rule of a few hundred characters has a date for each second.
const TIMES_A_DAY: usize = 24;
/// Most dates that a rule may count. They are counted from the first one on, at each completion; a longer series ends at a time.
pub(super) const MOST_COUNTED: u32 = 1000;
/// Dates that are looked at before it is given up.
const STEPS: usize = 200_000;
/// Dates and their weekdays come again after 400 years. A rule is asked for dates that are so many of these later: `rrule` searches for
/// them up to the year 10000, which would be far away.
const LATER: TimeDelta = TimeDelta::days(19 * 146_097);

/// A rule, and its end, which is kept apart because `rrule` would compare it with civil times.
#[derive(Clone, Debug)]
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
        let text = plain(text);
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

    /// How many dates it has, if it counts them.
    pub(super) fn count(&self) -> Option<u32> {
        self.rule.get_count()
    }

    /// Whether it says when it ends.
    pub(super) fn ends(&self) -> bool {
        self.until.is_some() || self.count().is_some()
    }

    /// The dates of the series that begins at `start`, in order: all from `near` on, and perhaps some before that. An error is
    /// the last one.
    pub(super) fn dates(
        &self,
        start: NaiveDateTime,
        near: NaiveDateTime,
        zone: Tz,
    ) -> Result<impl Iterator<Item = Result<NaiveDateTime, GaveUp>> + Send + use<>, String> {
        let until = self.until;
        let start = whole_second(start);
        let rule = at_month_end(self.rule.clone(), start);
        let begin = begin(&rule, start, near);
        // What it takes from the start, such as the time of day, it has now.
        let rule = rule.validate(later(start)).map_err(|error| error.to_string())?;
        // Limited: it is searched for a while and not for ever.
        let dates = begin.map(|begin| RRuleSet::new(later(begin)).rrule(rule).limit().into_iter());
        Ok(dates
            .into_iter()
            .flatten()
            .map(|date| date.naive_utc() - LATER)
            .take_while(move |date| date.year() <= LAST_YEAR && until.is_none_or(|until| until.allows(*date, zone)))
            .enumerate()
            .map(|(number, date)| if number < STEPS { Ok(date) } else { Err(GaveUp) }))
    }

    /// How many of the dates that are counted are left from `due` on. `due` is where the occurrence is (now) that has the place
    /// `place` in the series that begins at `start`: it counts as one of them where it is a date of the rule. Nothing if none
    /// is left, or if it does not count.
    pub(super) fn left(
        &self,
        start: NaiveDateTime,
        place: NaiveDateTime,
        place_zone: Tz,
        (due, zone): (NaiveDateTime, Tz),
    ) -> Option<u32> {
        let mut passed = 0;
        for date in self.dates(start, place, place_zone).ok()? {
            if date.ok()? > place {
                break;
            }
            passed += 1;
        }
        let follow = self.count()?.checked_sub(passed)?;
        let is_date = self.dates(due, due, zone).ok()?.next() == Some(Ok(whole_second(due)));
        Some(follow + u32::from(is_date)).filter(|left| *left > 0)
    }

    /// The rule in full, as if the series began at `due`: with an end of the same kind as that.
    pub(super) fn in_full(self, start: NaiveDateTime, due: Due, zone: Tz) -> String {
        let rule = at_month_end(self.rule, start);
        let end = self.until.map(|until| format!(";UNTIL={}", until.of_kind(due, zone))).unwrap_or_default();
        format!("{rule}{end}")
    }
}

/// The rule that a user wrote, in capitals and without what may stand before it.
fn plain(text: &str) -> String {
    let text = text.trim().to_ascii_uppercase();
    text.strip_prefix("RRULE:").map(ToOwned::to_owned).unwrap_or(text)
}

/// The same rule with another number of dates.
pub(super) fn with_count(text: &str, count: u32) -> String {
    let part = |part: &str| if part.starts_with("COUNT=") { format!("COUNT={count}") } else { part.to_owned() };
    plain(text).split(';').map(part).collect::<Vec<_>>().join(";")
}

/// Rules count no parts of a second: by one, a start would be after its own date.
fn whole_second(civil: NaiveDateTime) -> NaiveDateTime {
    civil.with_nanosecond(0).unwrap_or(civil)
}

/// A civil time as a rule is asked about it.
fn later(civil: NaiveDateTime) -> DateTime<rrule::Tz> {
    civil.checked_add_signed(LATER).unwrap_or(civil).and_utc().with_timezone(&rrule::Tz::UTC)
}

/// From where on a rule is asked for its dates; nothing if it has none there.
fn begin(rule: &RRule<Unvalidated>, start: NaiveDateTime, near: NaiveDateTime) -> Option<NaiveDateTime> {
    // What is counted has to be counted from its beginning.
    let begin = if rule.get_count().is_some() { start } else { period_before(rule, start, near) };
    if rule.get_freq() != Frequency::Daily {
        return Some(begin);
    }
    Some(begin.max(first_day(rule, begin.date())?.and_time(NaiveTime::MIN)))
}

/// The beginning of the last day, week, month or year before `near` in which the rule can have dates: from there on it has the
/// same ones as from `start` on, which may be centuries before.
fn period_before(rule: &RRule<Unvalidated>, start: NaiveDateTime, near: NaiveDateTime) -> NaiveDateTime {
    let (first, near) = (start.date(), near.date());
    let interval = i64::from(rule.get_interval()).max(1);
    let whole = |periods: i64| u32::try_from(periods / interval * interval).ok().filter(|passed| *passed > 0);
    let day = match rule.get_freq() {
        Frequency::Daily => {
            let passed = whole((near - first).num_days());
            passed.and_then(|days| first.checked_add_days(Days::new(days.into())))
        }
        Frequency::Weekly => {
            let first = first.week(rule.get_week_start()).first_day();
            let passed = whole((near - first).num_days().div_euclid(7));
            passed.and_then(|weeks| first.checked_add_days(Days::new(u64::from(weeks) * 7)))
        }
        Frequency::Monthly => {
            let months = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
            let passed = whole(months(near) - months(first));
            passed.and_then(|passed| first.with_day(1)?.checked_add_months(Months::new(passed)))
        }
        _ => {
            let passed = whole(i64::from(near.year()) - i64::from(first.year()));
            passed.and_then(|years| first.with_ordinal(1)?.checked_add_months(Months::new(years.checked_mul(12)?)))
        }
    };
    day.map_or(start, |day| day.and_time(NaiveTime::MIN))
}

/// The first day from `from` on, in the rhythm of a daily rule, on which that can have a date; nothing if there is none. `rrule` looks
/// for that for far longer, and at more days than there are.
fn first_day(rule: &RRule<Unvalidated>, from: NaiveDate) -> Option<NaiveDate> {
    let (months, days, positions) = (rule.get_by_month(), rule.get_by_month_day(), rule.get_by_set_pos());
    let weekdays: Vec<Weekday> = rule.get_by_weekday().iter().copied().filter_map(every).collect();
    let times = [rule.get_by_hour(), rule.get_by_minute(), rule.get_by_second()];
    let times: usize = times.iter().map(|times| times.iter().collect::<BTreeSet<_>>().len().max(1)).product();
    let is_one_of_them =
        |position: &i32| usize::try_from(position.unsigned_abs()).is_ok_and(|position| position <= times);
    if !(positions.is_empty() || positions.iter().any(is_one_of_them)) {
        return None;
    }
    let has_dates = |day: &NaiveDate| {
        let from_begin = i32::try_from(day.day()).unwrap_or_default();
        let from_end = from_begin - i32::from(day.num_days_in_month()) - 1;
        let is_named = |named: &i8| [from_begin, from_end].contains(&i32::from(*named));
        (months.is_empty() || months.iter().any(|month| u32::from(*month) == day.month()))
            && (days.is_empty() || days.iter().any(is_named))
            && (weekdays.is_empty() || weekdays.contains(&day.weekday()))
    };
    let step = Days::new(rule.get_interval().max(1).into());
    iter::successors(Some(from), |day| day.checked_add_days(step))
        .take_while(|day| day.year() <= LAST_YEAR)
        .find(has_dates)
}

/// The weekday, unless it is a numbered one, which `rrule` does not look at in a daily rule.
fn every(weekday: NWeekday) -> Option<Weekday> {
    match weekday {
        NWeekday::Every(weekday) => Some(weekday),
        NWeekday::Nth(..) => None,
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
        let end_of = |day: NaiveDate| day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_without_a_date_is_soon_given_up() {
        let (start, near) = (civil("1970-01-01T09:00:00"), civil("1990-06-01T09:00:00"));
        for text in [
            "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=DAILY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=-30",
            "FREQ=DAILY;BYDAY=MO;BYSETPOS=2",
            "FREQ=DAILY;BYHOUR=8,8,9;BYSETPOS=3,-3",
            "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
            "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
        ] {
            let rule = Rule::parse(text).unwrap();
            let is_limited = |begin| {
                let rule = rule.rule.clone().validate(later(start)).unwrap();
                RRuleSet::new(later(begin)).rrule(rule).limit().all(1).limited
            };
            // `rrule` says whether it took the 100,000 steps after which it gives up.
            assert!(!begin(&rule.rule, start, near).is_some_and(is_limited), "{text}");
            assert_eq!(rule.dates(start, near, Tz::UTC).unwrap().count(), 0, "{text}");
        }
    }

    #[test]
    fn a_rare_date_is_found() {
        // A Monday that is a leap day comes after 40 years, because 2100 has none.
        let rule = Rule::parse("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO").unwrap();
        let start = civil("2073-01-01T09:00:00");
        let found: Vec<_> = rule.dates(start, start, Tz::UTC).unwrap().map(Result::unwrap).take(1).collect();
        assert_eq!(found, [civil("2112-02-29T09:00:00")]);
    }
}
