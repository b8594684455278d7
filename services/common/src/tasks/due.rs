use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// When a task is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// At an instant.
    At(DateTime<Utc>),
    /// On a day, wherever the user is.
    On(NaiveDate),
}

impl Due {
    /// Day and time in the user's zone; midnight for a day.
    pub fn civil(self, zone: Tz) -> NaiveDateTime {
        match self {
            Self::At(instant) => instant.with_timezone(&zone).naive_local(),
            Self::On(date) => date.and_time(NaiveTime::MIN),
        }
    }

    /// The instant that reminders are relative to.
    pub fn instant(self, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::At(instant) => instant,
            Self::On(_) => to_instant(self.civil(zone), zone),
        }
    }

    /// The instant after which it is overdue: the end of the day for a day.
    pub fn deadline(self, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::At(instant) => instant,
            Self::On(date) => Self::On(date.checked_add_days(Days::new(1)).unwrap_or(date)).instant(zone),
        }
    }

    /// The same kind of due at another civil time.
    pub(crate) fn moved_to(self, civil: NaiveDateTime, zone: Tz) -> Self {
        match self {
            Self::At(_) => Self::At(to_instant(civil, zone)),
            Self::On(_) => Self::On(civil.date()),
        }
    }
}

/// A civil time as an instant. A time that a clock change skips is as much later as the clock was moved (02:30 is 03:30);
/// of a time that comes twice it is the first.
pub fn to_instant(civil: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    // No zone's clock was ever moved by more than a day.
    let skipped = || {
        let before = zone.from_local_datetime(&civil.checked_sub_signed(TimeDelta::days(1))?).earliest()?;
        before.to_utc().checked_add_signed(TimeDelta::days(1))
    };
    zone.from_local_datetime(&civil)
        .earliest()
        .map(|time| time.to_utc())
        .or_else(skipped)
        .unwrap_or_else(|| civil.and_utc())
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;

    use super::*;

    fn civil(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        civil(text).and_utc()
    }

    #[test]
    fn a_skipped_time_is_an_hour_later() {
        assert_eq!(to_instant(civil("2026-03-29 02:30"), Berlin), utc("2026-03-29 01:30"));
    }

    #[test]
    fn a_clock_may_be_moved_by_half_an_hour() {
        let zone = chrono_tz::Australia::Lord_Howe;
        assert_eq!(to_instant(civil("2026-10-04 02:15"), zone), utc("2026-10-03 15:45"));
    }

    #[test]
    fn no_year_is_too_far() {
        for zone in [Berlin, chrono_tz::America::New_York] {
            to_instant(NaiveDateTime::MAX, zone);
            to_instant(NaiveDateTime::MIN, zone);
        }
    }

    #[test]
    fn of_a_doubled_time_it_is_the_first() {
        assert_eq!(to_instant(civil("2026-10-25 02:30"), Berlin), utc("2026-10-25 00:30"));
    }

    #[test]
    fn a_day_begins_and_ends_in_the_users_zone() {
        let due = Due::On(civil("2026-03-29 00:00").date());
        assert_eq!(due.instant(Berlin), utc("2026-03-28 23:00"));
        assert_eq!(due.deadline(Berlin), utc("2026-03-29 22:00"), "this day has 23 hours");
    }
}
