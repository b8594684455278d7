use chrono::NaiveDateTime;
use chrono_tz::{America::New_York, Europe::Berlin, UTC};

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

fn day(text: &str) -> Due {
    Due::On(text.parse().unwrap())
}

fn at(text: &str) -> Due {
    Due::At(utc(text))
}

/// The dates of a series in which each occurrence is completed in the minute in which it is due.
fn punctual(rule: &str, start: Due, zone: Tz, count: usize) -> Vec<Due> {
    let recurrence = Recurrence::Rrule(rule.to_owned());
    validate(&recurrence, Some(start), zone).unwrap();
    let mut due = start;
    let mut dates = vec![start];
    while dates.len() < count {
        let series = Series { recurrence: &recurrence, start: Some(start), task_id: Uuid::nil(), due: Some(due), zone };
        match next_occurrence(&series, due.instant(zone)).unwrap() {
            Some(next) => due = next.due,
            None => break,
        }
        dates.push(due);
    }
    dates
}

fn next(rule: &str, due: Due, zone: Tz, completed_at: &str) -> Option<Due> {
    let recurrence = Recurrence::Rrule(rule.to_owned());
    let series = Series { recurrence: &recurrence, start: Some(due), task_id: Uuid::nil(), due: Some(due), zone };
    next_occurrence(&series, utc(completed_at)).unwrap().map(|next| next.due)
}

#[test]
fn nine_in_the_morning_stays_so_over_clock_changes() {
    assert_eq!(
        punctual("FREQ=DAILY", at("2026-03-28 08:00"), Berlin, 3),
        [at("2026-03-28 08:00"), at("2026-03-29 07:00"), at("2026-03-30 07:00"),]
    );
    assert_eq!(punctual("FREQ=WEEKLY", at("2026-10-26 13:00"), New_York, 2)[1], at("2026-11-02 14:00"));
}

#[test]
fn a_time_that_is_skipped_once_is_back_the_day_after() {
    assert_eq!(
        punctual("FREQ=DAILY", at("2026-03-28 01:30"), Berlin, 3),
        [at("2026-03-28 01:30"), at("2026-03-29 01:30"), at("2026-03-30 00:30"),]
    );
}

#[test]
fn monthly_from_the_31st_is_the_last_day_of_each_month() {
    let dates = punctual("FREQ=MONTHLY", day("2026-01-31"), UTC, 5);
    assert_eq!(dates, ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"].map(day));
    let dates = punctual("FREQ=MONTHLY", day("2026-01-30"), UTC, 3);
    assert_eq!(dates, ["2026-01-30", "2026-02-28", "2026-03-30"].map(day));
}

#[test]
fn yearly_from_a_leap_day_is_the_last_of_february() {
    let dates = punctual("FREQ=YEARLY", day("2024-02-29"), UTC, 5);
    assert_eq!(dates, ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"].map(day));
}

#[test]
fn rules_of_the_standard_are_followed() {
    assert_eq!(next("FREQ=WEEKLY;BYDAY=MO,TH", day("2026-03-02"), UTC, "2026-03-02 09:00"), Some(day("2026-03-05")));
    assert_eq!(next("FREQ=MONTHLY;BYDAY=-1FR", day("2026-03-27"), UTC, "2026-03-27 09:00"), Some(day("2026-04-24")));
    assert_eq!(
        next("RRULE:FREQ=WEEKLY;INTERVAL=2", day("2026-03-02"), UTC, "2026-03-02 09:00"),
        Some(day("2026-03-16"))
    );
}

#[test]
fn a_late_completion_goes_to_the_next_future_date() {
    let daily = |completed_at| next("FREQ=DAILY", at("2026-03-02 09:00"), UTC, completed_at);
    assert_eq!(daily("2026-03-05 08:00"), Some(at("2026-03-05 09:00")));
    assert_eq!(daily("2026-03-05 10:00"), Some(at("2026-03-06 09:00")));
    assert_eq!(next("FREQ=DAILY", day("2026-03-02"), UTC, "2026-03-05 10:00"), Some(day("2026-03-06")));
    let fortnight = next("FREQ=WEEKLY;INTERVAL=2", day("2026-03-02"), UTC, "2026-03-17 10:00");
    assert_eq!(fortnight, Some(day("2026-03-30")), "the rhythm is kept");
}

#[test]
fn an_early_completion_does_not_repeat_the_same_date() {
    assert_eq!(next("FREQ=WEEKLY", day("2026-03-09"), UTC, "2026-03-05 10:00"), Some(day("2026-03-16")));
}

#[test]
fn the_day_of_a_completion_is_the_users() {
    // In New York it is still the 4th.
    assert_eq!(next("FREQ=DAILY", day("2026-03-03"), New_York, "2026-03-05 02:00"), Some(day("2026-03-05")));
}

#[test]
fn a_series_ends_by_count_or_until() {
    assert_eq!(punctual("FREQ=DAILY;COUNT=3", day("2026-03-02"), UTC, 9).len(), 3);
    assert_eq!(punctual("FREQ=DAILY;UNTIL=20260304", day("2026-03-02"), UTC, 9).len(), 3);
    assert_eq!(punctual("FREQ=DAILY;UNTIL=20260304T080000Z", at("2026-03-02 08:00"), Berlin, 9).len(), 3);
    assert_eq!(punctual("FREQ=DAILY;UNTIL=20260304T080000Z", at("2026-03-02 08:01"), Berlin, 9).len(), 2);
    assert_eq!(punctual("FREQ=DAILY;UNTIL=20260304T090000", at("2026-03-02 08:00"), Berlin, 9).len(), 3);
}

#[test]
fn after_completion_counts_from_the_users_day() {
    let recurrence = Recurrence::AfterCompletionDays(3);
    let after = |due, zone, completed_at: &str| {
        let series = Series { recurrence: &recurrence, start: due, task_id: Uuid::nil(), due, zone };
        next_occurrence(&series, utc(completed_at)).unwrap().unwrap().due
    };
    assert_eq!(after(None, UTC, "2026-03-05 10:00"), day("2026-03-08"));
    assert_eq!(after(Some(day("2026-02-01")), New_York, "2026-03-05 02:00"), day("2026-03-07"));
    // 09:00 in Berlin, before and after the clock change.
    assert_eq!(after(Some(at("2026-03-01 08:00")), Berlin, "2026-03-27 20:00"), at("2026-03-30 07:00"));
}

#[test]
fn a_wrong_rule_is_refused_with_words() {
    for rule in [
        "",
        "daily",
        "FREQ=HOURLY",
        "FREQ=SECONDLY",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY\nDTSTART:20200101",
        "FREQ=DAILY;BYMONTH=13",
        "FREQ=DAILY;UNTIL=20200101",
        &format!("FREQ=DAILY;{}", "X".repeat(500)),
    ] {
        let told = validate(&Recurrence::Rrule(rule.to_owned()), Some(day("2026-03-02")), UTC);
        assert!(told.is_err_and(|words| !words.is_empty()), "{rule}");
    }
    assert!(validate(&Recurrence::Rrule("FREQ=DAILY".to_owned()), None, UTC).is_err());
    assert!(validate(&Recurrence::AfterCompletionDays(0), None, UTC).is_err());
}

#[test]
fn a_rule_has_at_most_24_times_a_day() {
    let numbers = |count: u32| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let told = |rule: String| validate(&Recurrence::Rrule(rule), Some(day("2026-03-02")), UTC);
    assert_eq!(told(format!("FREQ=DAILY;BYHOUR={}", numbers(24))), Ok(()));
    assert_eq!(told("FREQ=DAILY;BYHOUR=8,20;BYMINUTE=0,30".to_owned()), Ok(()));
    for rule in [
        format!("FREQ=YEARLY;BYHOUR={};BYMINUTE={}", numbers(24), numbers(60)),
        format!("FREQ=DAILY;BYHOUR=8,9;BYMINUTE={}", numbers(13)),
        format!("FREQ=DAILY;BYSECOND={}", numbers(25)),
    ] {
        assert!(told(rule.clone()).is_err_and(|words| words.contains("24 times a day")), "{rule}");
    }
}

#[test]
fn a_series_that_began_long_ago_goes_on() {
    assert_eq!(next(&crowded(), at("1970-01-01 00:00"), UTC, "2199-03-02 10:00"), Some(at("2199-03-02 11:00")));
    assert_eq!(next("FREQ=DAILY", day("1970-01-01"), UTC, "2150-03-02 10:00"), Some(day("2150-03-03")));
}

#[test]
fn keys_are_the_dates_and_one_completion_has_one_key() {
    assert_eq!(first_key(Some(at("2026-03-29 07:00")), Berlin), "2026-03-29T09:00:00");
    assert_eq!(first_key(Some(day("2026-03-29")), Berlin), "2026-03-29");
    let recurrence = Recurrence::AfterCompletionDays(1);
    let series = Series { recurrence: &recurrence, start: None, task_id: Uuid::nil(), due: None, zone: UTC };
    let key = |completed_at| next_occurrence(&series, utc(completed_at)).unwrap().unwrap().key;
    assert_eq!(key("2026-03-05 10:00"), key("2026-03-09 10:00"));
}

#[test]
fn a_calendar_gets_what_is_left_of_a_rule() {
    let from = |rule: &str, start, due, zone| {
        let recurrence = Recurrence::Rrule(rule.to_owned());
        rule_from(&Place { recurrence: &recurrence, start, key: Some(&key(due, zone)), due, zone }).unwrap()
    };
    let daily = from("FREQ=DAILY;COUNT=5", day("2026-03-02"), day("2026-03-04"), UTC);
    assert_eq!(daily, "FREQ=DAILY;COUNT=3");
    let monthly = from("FREQ=MONTHLY", day("2026-01-31"), day("2026-02-28"), UTC);
    assert_eq!(
        monthly, "FREQ=MONTHLY;BYSETPOS=-1;BYMONTHDAY=28,29,30,31",
        "it is the last day, and not the 28th from now on"
    );
    let start = at("2026-03-02 08:00");
    assert_eq!(from("FREQ=DAILY;UNTIL=20260304", start, start, Berlin), "FREQ=DAILY;UNTIL=20260304T225959Z");
    assert_eq!(from("FREQ=DAILY;UNTIL=20260304T100000", start, start, Berlin), "FREQ=DAILY;UNTIL=20260304T090000Z");
    let days = from("FREQ=DAILY;UNTIL=20260304T233000Z", day("2026-03-02"), day("2026-03-02"), Berlin);
    assert_eq!(days, "FREQ=DAILY;UNTIL=20260305");
}

/// A date at each hour.
fn crowded() -> String {
    let hours = (0..24).map(|hour| hour.to_string()).collect::<Vec<_>>().join(",");
    format!("FREQ=DAILY;BYHOUR={hours}")
}

#[test]
fn a_rule_counts_a_thousand_dates_at_most() {
    let told = |rule: &str| validate(&Recurrence::Rrule(rule.to_owned()), Some(day("2026-03-02")), UTC);
    assert_eq!(told("FREQ=DAILY;COUNT=1000"), Ok(()));
    assert!(told("FREQ=DAILY;COUNT=1001").is_err_and(|words| words.contains("UNTIL")));
}

#[test]
fn where_more_dates_lie_before_than_are_looked_at_the_series_has_not_ended() {
    // Written before there was a limit.
    let recurrence = Recurrence::Rrule(format!("{};COUNT=400000", crowded()));
    let start = Some(at("1970-01-01 00:00"));
    let series = Series { recurrence: &recurrence, start, task_id: Uuid::nil(), due: start, zone: UTC };
    assert_eq!(next_occurrence(&series, utc("2026-03-02 10:00")), Err(GaveUp));
    assert!(next_occurrence(&series, utc("1980-03-02 10:00")).unwrap().is_some());
}

/// What is left when the occurrence with this place is moved.
fn left(rule: &str, start: Due, place: Due, due: Due, to: Due) -> Option<String> {
    let recurrence = Recurrence::Rrule(rule.to_owned());
    let place = Place { recurrence: &recurrence, start, key: Some(&key(place, UTC)), due, zone: UTC };
    match left_from(&place, to, UTC)? {
        Recurrence::Rrule(rule) => Some(rule),
        other @ Recurrence::AfterCompletionDays(_) => panic!("{other:?}"),
    }
}

#[test]
fn an_occurrence_that_is_moved_counts_once() {
    let start = at("2026-03-02 09:00");
    let third = at("2026-03-04 09:00");
    let daily = |rule, to| left(rule, start, third, third, at(to));
    assert_eq!(daily("FREQ=DAILY;COUNT=3", "2026-03-04 10:00").as_deref(), Some("FREQ=DAILY;COUNT=1"));
    assert_eq!(daily("rrule:count=5;freq=daily", "2026-03-01 08:00").as_deref(), Some("COUNT=3;FREQ=DAILY"));
    assert_eq!(daily("FREQ=DAILY;COUNT=5", "2026-03-20 08:00").as_deref(), Some("FREQ=DAILY;COUNT=3"));
    let again = left("FREQ=DAILY;COUNT=3", at("2026-03-20 08:00"), third, at("2026-03-20 08:00"), start);
    assert_eq!(again.as_deref(), Some("FREQ=DAILY;COUNT=3"), "it is the first of those that are left");
}

#[test]
fn one_that_is_moved_to_where_the_rule_has_no_date_counts_as_well() {
    let mondays = |count, to| {
        let (start, second) = (day("2026-03-02"), day("2026-03-09"));
        left(&format!("FREQ=WEEKLY;BYDAY=MO;COUNT={count}"), start, second, second, day(to))
    };
    assert_eq!(mondays(3, "2026-03-10").as_deref(), Some("FREQ=WEEKLY;BYDAY=MO;COUNT=1"));
    assert_eq!(mondays(2, "2026-03-10"), None, "nothing follows");
    assert_eq!(mondays(2, "2026-03-08"), None, "its own place is no date that follows");
    assert_eq!(mondays(2, "2026-03-16").as_deref(), Some("FREQ=WEEKLY;BYDAY=MO;COUNT=1"));
}
