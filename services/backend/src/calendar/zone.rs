//! `VTIMEZONE`: how the clocks of a zone are set, for calendars that do not know its name.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{OffsetComponents, OffsetName, Tz};

use super::text::push;

/// Years after now for which the changes of the clock are written. A subscribed calendar is read again long before.
const YEARS: i32 = 10;
const CIVIL: &str = "%Y%m%dT%H%M%S";

/// What a change of the clock is, apart from when: what it was before and is after, in seconds east of UTC, its name, and whether it is
/// summer time.
type Kind = (i32, i32, String, bool);

/// The zone from the year before `first` on.
pub(super) fn push_zone(calendar: &mut String, zone: Tz, first: DateTime<Utc>, now: DateTime<Utc>) {
    let from = Utc.with_ymd_and_hms(first.year() - 1, 1, 1, 0, 0, 0).earliest().unwrap_or(first);
    let to = Utc.with_ymd_and_hms(now.year().max(first.year()) + YEARS, 1, 1, 0, 0, 0).earliest().unwrap_or(now);
    push(calendar, "BEGIN", "VTIMEZONE");
    push(calendar, "TZID", zone.name());
    for ((before, after, name, is_summer), onsets) in changes(zone, from, to) {
        let part = if is_summer { "DAYLIGHT" } else { "STANDARD" };
        push(calendar, "BEGIN", part);
        for (index, onset) in onsets.iter().enumerate() {
            let property = if index == 0 { "DTSTART" } else { "RDATE" };
            push(calendar, property, &onset.format(CIVIL).to_string());
        }
        push(calendar, "TZOFFSETFROM", &offset(before));
        push(calendar, "TZOFFSETTO", &offset(after));
        push(calendar, "TZNAME", &name);
        push(calendar, "END", part);
    }
    push(calendar, "END", "VTIMEZONE");
}

/// Changes of each kind, by what the clock showed just before. The first one is the beginning, which is no change.
fn changes(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> BTreeMap<Kind, Vec<NaiveDateTime>> {
    let mut changes = BTreeMap::<Kind, Vec<NaiveDateTime>>::new();
    let start = seconds(zone, from);
    changes.entry(kind(zone, start, from)).or_default().push(from.naive_utc() + TimeDelta::seconds(start.into()));
    let mut day = from;
    while day < to {
        let Some(next) = day.checked_add_days(Days::new(1)) else { break };
        let before = seconds(zone, day);
        if seconds(zone, next) != before {
            let at = first_after(zone, day, next);
            let onset = at.naive_utc() + TimeDelta::seconds(before.into());
            changes.entry(kind(zone, before, at)).or_default().push(onset);
        }
        day = next;
    }
    changes
}

/// The first second of the day in which the offset is the next day's.
fn first_after(zone: Tz, day: DateTime<Utc>, next: DateTime<Utc>) -> DateTime<Utc> {
    let (mut old, mut new) = (day, next);
    let after = seconds(zone, next);
    while new - old > TimeDelta::seconds(1) {
        let middle = old + TimeDelta::seconds((new - old).num_seconds() / 2);
        if seconds(zone, middle) == after { new = middle } else { old = middle }
    }
    new
}

fn kind(zone: Tz, before: i32, at: DateTime<Utc>) -> Kind {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc());
    let name = offset.abbreviation().unwrap_or_else(|| zone.name()).to_owned();
    (before, seconds(zone, at), name, !offset.dst_offset().is_zero())
}

fn seconds(zone: Tz, at: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    let rest = if seconds % 60 == 0 { String::new() } else { format!("{:02}", seconds % 60) };
    format!("{sign}{:02}{:02}{rest}", seconds / 3600, seconds / 60 % 60)
}
