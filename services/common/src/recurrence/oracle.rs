//! Thousands of generated rules, against python-dateutil. `e2e/assets/python/recurrence.py` says where ours mean something else.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use chrono::{Datelike, NaiveDate, SubsecRound, TimeDelta};
use serde_json::{Value, json};

use super::*;
use crate::{tasks::to_instant, testing::Dice};

/// Another number is another set of rules.
const SEED: u64 = 5545;
const CASES: usize = 3000;
/// Clocks that change by an hour, by half an hour, at midnight and by a whole day; and some that do not.
const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
];

/// Clocks that change at midnight: the first hour of a day is skipped, or the last one comes twice.
const MIDNIGHTS: [&str; 9] = [
    "Africa/Cairo",
    "America/Asuncion",
    "America/Havana",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "Asia/Amman",
    "Asia/Beirut",
    "Atlantic/Azores",
];
const MONTH_END_CASES: usize = 3000;

/// One task and when it was completed, again and again.
struct Case {
    recurrence: Recurrence,
    start: Due,
    zone: Tz,
    completions: Vec<DateTime<Utc>>,
}

impl Case {
    fn new(dice: &mut Dice) -> Self {
        let zone: Tz = dice.of(&ZONES).parse().unwrap();
        let day = NaiveDate::from_ymd_opt(1996, 1, 1).unwrap() + TimeDelta::days(dice.between(0, 50 * 365));
        // Month ends and leap days are rare otherwise.
        let day = if dice.one_in(4) { month_end(day) } else { day };
        let start = if dice.one_in(3) {
            Due::On(day)
        } else {
            // Half of them in the hours in which clocks are changed.
            let hour = if dice.one_in(2) { dice.between(0, 3) } else { dice.between(0, 23) };
            let time = TimeDelta::minutes(hour * 60 + dice.of(&[0, 15, 30, 59]));
            Due::At(to_instant(day.and_hms_opt(0, 0, 0).unwrap() + time, zone))
        };
        let recurrence = if dice.one_in(20) {
            Recurrence::AfterCompletionDays(u16::try_from(dice.between(1, 400)).unwrap())
        } else {
            Recurrence::Rrule(rule(dice, start, zone))
        };
        Self::completed(dice, recurrence, start, zone)
    }

    /// Due at the end of a month or next to it, mostly within an hour of midnight.
    fn at_month_end(dice: &mut Dice) -> Self {
        let zone: Tz = dice.of(&MIDNIGHTS).parse().unwrap();
        let leap_day = NaiveDate::from_ymd_opt(i32::try_from(1996 + 4 * dice.between(0, 12)).unwrap(), 2, 29).unwrap();
        let day = match dice.below(4) {
            0 => leap_day,
            1 => month_end(leap_day + TimeDelta::days(dice.between(0, 4 * 365))),
            2 => month_end(leap_day + TimeDelta::days(dice.between(0, 4 * 365))) - TimeDelta::days(dice.between(1, 2)),
            _ => month_end(leap_day + TimeDelta::days(dice.between(0, 4 * 365))) + TimeDelta::days(1),
        };
        let start = if dice.one_in(4) {
            Due::On(day)
        } else {
            let time =
                TimeDelta::minutes(dice.of(&[0, 0, 1, 30, 59, 60, 12 * 60, 23 * 60, 23 * 60 + 30, 23 * 60 + 59]));
            Due::At(to_instant(day.and_hms_opt(0, 0, 0).unwrap() + time, zone))
        };
        let mut rule = month_end_rule(dice);
        end(dice, &mut rule, start, zone);
        Self::completed(dice, Recurrence::Rrule(rule), start, zone)
    }

    fn completed(dice: &mut Dice, recurrence: Recurrence, start: Due, zone: Tz) -> Self {
        // Punctual, early, late, and after several dates went by.
        let mut at = start.instant(zone) - TimeDelta::minutes(dice.between(0, 3 * 24 * 60));
        let completions = (0..3).map(|_| {
            at += TimeDelta::minutes(dice.between(1, 200 * 24 * 60));
            at.trunc_subsecs(0)
        });
        Self { recurrence, start, zone, completions: completions.collect() }
    }

    fn asked(&self) -> Value {
        let completions: Vec<_> = self.completions.iter().map(DateTime::to_rfc3339).collect();
        let mut asked = json!({"zone": self.zone.name(), "completions": completions});
        match self.start {
            Due::On(day) => asked["date"] = json!(day),
            Due::At(_) => asked["civil"] = json!(self.start.civil(self.zone)),
        }
        match &self.recurrence {
            Recurrence::Rrule(rule) => asked["rule"] = json!(rule),
            Recurrence::AfterCompletionDays(days) => asked["after_days"] = json!(days),
        }
        asked
    }

    fn ours(&self) -> Vec<Option<Due>> {
        let mut due = self.start;
        let mut found = Vec::new();
        for completed_at in &self.completions {
            let series = Series {
                recurrence: &self.recurrence,
                start: Some(self.start),
                task_id: Uuid::nil(),
                due: Some(due),
                zone: self.zone,
            };
            let next = next_occurrence(&series, *completed_at).unwrap().map(|next| next.due);
            found.push(next);
            let Some(next) = next else { break };
            due = next;
        }
        found
    }
}

fn month_end(day: NaiveDate) -> NaiveDate {
    let next = day.with_day(1).unwrap() + TimeDelta::days(31);
    next.with_day(1).unwrap() - TimeDelta::days(1)
}

fn rule(dice: &mut Dice, start: Due, zone: Tz) -> String {
    const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
    let frequency = dice.of(&["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]);
    let mut rule = format!("FREQ={frequency}");
    if dice.one_in(2) {
        let _ = write!(rule, ";INTERVAL={}", dice.between(1, 5));
    }
    let month_days = |dice: &mut Dice| dice.some(|dice| dice.of(&[1, 2, 15, 28, 29, 30, 31, -1, -2, -31]).to_string());
    let plain_days = |dice: &mut Dice| dice.some(|dice| dice.of(&DAYS).to_owned());
    let nth_days = |dice: &mut Dice| {
        dice.some(|dice| format!("{}{}", dice.of(&["1", "2", "3", "4", "5", "-1", "-2"]), dice.of(&DAYS)))
    };
    let months = |dice: &mut Dice| dice.some(|dice| dice.between(1, 12).to_string());
    match (frequency, dice.below(6)) {
        ("DAILY" | "WEEKLY", 0 | 1) | ("MONTHLY", 0) => {
            let _ = write!(rule, ";BYDAY={}", plain_days(dice));
        }
        ("MONTHLY", 1) => {
            let _ = write!(rule, ";BYDAY={}", nth_days(dice));
        }
        ("DAILY" | "MONTHLY", 2) => {
            let _ = write!(rule, ";BYMONTHDAY={}", month_days(dice));
        }
        ("MONTHLY", 3) => {
            let _ = write!(rule, ";BYDAY=MO,TU,WE,TH,FR;BYSETPOS={}", dice.of(&[1, 2, -1]));
        }
        ("YEARLY", 0) => {
            let _ = write!(rule, ";BYMONTH={};BYDAY={}", months(dice), nth_days(dice));
        }
        ("YEARLY", 1) => {
            let _ = write!(rule, ";BYMONTH={};BYMONTHDAY={}", months(dice), month_days(dice));
        }
        ("YEARLY", 2) => {
            let _ = write!(rule, ";BYYEARDAY={}", dice.of(&[1, 59, 60, 100, 366, -1]));
        }
        ("YEARLY", 3) => {
            let _ = write!(rule, ";BYWEEKNO={};BYDAY={}", dice.of(&[1, 20, 52, 53]), dice.of(&DAYS));
        }
        (_, 4) => {
            let _ = write!(rule, ";BYMONTH={}", months(dice));
        }
        _ => {}
    }
    if frequency == "WEEKLY" && dice.one_in(3) {
        let _ = write!(rule, ";WKST={}", dice.of(&["SU", "MO"]));
    }
    end(dice, &mut rule, start, zone);
    rule
}

/// Days that not every month has, and those that are counted from the end.
fn month_end_rule(dice: &mut Dice) -> String {
    let frequency = dice.of(&["DAILY", "MONTHLY", "MONTHLY", "YEARLY", "YEARLY"]);
    let mut rule = format!("FREQ={frequency}");
    if dice.one_in(2) {
        let _ = write!(rule, ";INTERVAL={}", dice.between(1, 13));
    }
    let months = match dice.below(3) {
        _ if frequency != "YEARLY" => "",
        0 => "",
        1 => dice.of(&["2", "4", "4,6,9,11"]),
        _ => dice.of(&["2,3", "1,2,12"]),
    };
    if !months.is_empty() {
        let _ = write!(rule, ";BYMONTH={months}");
    }
    // Without a day it is that of the start, which a month may lack.
    if frequency == "DAILY" || !months.is_empty() || dice.one_in(2) {
        // That a rule has no date at all is found out slowly.
        let days = if ["2", "4", "4,6,9,11"].contains(&months) {
            dice.of(&["29", "-1", "-2", "30,-1", "28,29", "29,30,31", "-28,-29"])
        } else {
            dice.of(&["29", "30", "31", "-1", "-2", "29,30,31", "30,-1", "-1,-2", "28,29", "-29", "-30", "-31"])
        };
        let _ = write!(rule, ";BYMONTHDAY={days}");
        if frequency != "DAILY" && dice.one_in(4) {
            let _ = write!(rule, ";BYSETPOS={}", dice.of(&[1, -1]));
        }
    }
    rule
}

/// Ends a rule, after so many or at a time; or not.
fn end(dice: &mut Dice, rule: &mut String, start: Due, zone: Tz) {
    match dice.below(4) {
        0 => {
            let _ = write!(rule, ";COUNT={}", dice.between(1, 30));
        }
        1 => {
            let end = start.civil(zone) + TimeDelta::minutes(dice.between(0, 900 * 24 * 60));
            // The end is of the same kind as the start, as the standard has it.
            let _ = match start {
                Due::On(_) => write!(rule, ";UNTIL={}", end.format("%Y%m%d")),
                Due::At(_) if dice.one_in(2) => write!(rule, ";UNTIL={}", end.format("%Y%m%dT%H%M%S")),
                Due::At(_) => write!(rule, ";UNTIL={}", to_instant(end, zone).format("%Y%m%dT%H%M%SZ")),
            };
        }
        _ => {}
    }
}

/// dateutil's answers, one for each case.
fn ask(cases: &[Case]) -> Vec<Vec<Option<Due>>> {
    let python = std::env::var("TEST_PYTHON")
        .expect("this test needs a Python with python-dateutil: run `cargo xtask test unit`, which sets TEST_PYTHON");
    let script = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/e2e/assets/python/recurrence.py");
    let mut oracle = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: String = cases.iter().fold(String::new(), |lines, case| lines + &case.asked().to_string() + "\n");
    let mut input = oracle.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = oracle.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let due = |text: &str| match text.parse() {
        Ok(day) => Due::On(day),
        Err(_) => Due::At(text.parse().unwrap()),
    };
    let answer = |line: &str| {
        let dates: Vec<Option<String>> = serde_json::from_str(line).unwrap();
        dates.iter().map(|date| date.as_deref().map(due)).collect()
    };
    text.lines().map(answer).collect()
}

#[test]
fn thousands_of_rules_are_due_when_dateutil_says() {
    agree(CASES, Case::new);
}

#[test]
fn rules_of_month_ends_and_leap_days_are_due_when_dateutil_says_where_clocks_change_at_midnight() {
    agree(MONTH_END_CASES, Case::at_month_end);
}

#[test]
fn a_search_that_begins_near_finds_what_one_from_the_start_finds() {
    let mut dice = Dice::new(SEED);
    for number in 0..400 {
        let case = if number % 2 == 0 { Case::new(&mut dice) } else { Case::at_month_end(&mut dice) };
        let Recurrence::Rrule(text) = &case.recurrence else { continue };
        let text: Vec<&str> =
            text.split(';').filter(|part| !part.starts_with("COUNT") && !part.starts_with("UNTIL")).collect();
        let rule = rule::Rule::parse(&text.join(";")).unwrap();
        let start = case.start.civil(case.zone);
        let near = start + TimeDelta::minutes(dice.between(0, 6 * 365 * 24 * 60));
        let found = |from| {
            let dates = rule.dates(start, from, case.zone).unwrap().map(Result::unwrap);
            dates.skip_while(|date| *date < near).take(5).collect::<Vec<_>>()
        };
        assert_eq!(found(near), found(start), "{text:?} from {start} near {near}");
    }
}

fn agree(count: usize, case: fn(&mut Dice) -> Case) {
    let mut dice = Dice::new(SEED);
    let cases: Vec<Case> = (0..count).map(|_| case(&mut dice)).collect();
    let expected = ask(&cases);
    assert_eq!(expected.len(), count);
    let mut differences = String::new();
    for (case, expected) in cases.iter().zip(&expected) {
        let ours = case.ours();
        if ours != *expected {
            let _ = write!(differences, "\n{}\n  ours     {ours:?}\n  dateutil {expected:?}", case.asked());
        }
    }
    let dates = expected.iter().flatten().flatten().count();
    assert!(differences.is_empty(), "with the seed {SEED}:{differences}");
    assert!(dates > 2 * count, "most of them have dates: {dates}");
}
