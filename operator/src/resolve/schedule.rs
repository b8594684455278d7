//! Whether Dapr's cron binding understands a schedule. One that it does not understand stops every sidecar that loads
//! the binding, so it is refused before.

use std::ops::RangeInclusive;

use kube::core::Duration;

const DESCRIPTORS: [&str; 7] = ["@annually", "@daily", "@hourly", "@midnight", "@monthly", "@weekly", "@yearly"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    names: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field { name: "second", range: 0..=59, names: &[] },
    Field { name: "minute", range: 0..=59, names: &[] },
    Field { name: "hour", range: 0..=23, names: &[] },
    Field { name: "day of month", range: 1..=31, names: &[] },
    Field { name: "month", range: 1..=12, names: &MONTHS },
    Field { name: "day of week", range: 0..=6, names: &WEEKDAYS },
];

/// Says what is wrong with a schedule.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    if let Some(every) = schedule.strip_prefix("@every ") {
        return match every.parse::<Duration>() {
            Ok(duration) if !duration.is_negative() && std::time::Duration::from(duration).as_secs() >= 1 => Ok(()),
            _ => Err(format!("{every:?} is no duration of a second or more; write for example @every 5m")),
        };
    }
    if schedule.starts_with('@') {
        return if DESCRIPTORS.contains(&schedule) {
            Ok(())
        } else {
            Err(format!("{schedule:?} is none of {}, @every", DESCRIPTORS.join(", ")))
        };
    }
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    let fields = match parts.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        count => return Err(format!("{schedule:?} has {count} fields; write five, or six with seconds first")),
    };
    for (field, part) in fields.iter().zip(parts) {
        for item in part.split(',') {
            check_item(field, item).map_err(|reason| format!("{} {part:?}: {reason}", field.name))?;
        }
    }
    Ok(())
}

fn check_item(field: &Field, item: &str) -> Result<(), String> {
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    if let Some(step) = step
        && !step.parse::<u32>().is_ok_and(|step| step > 0)
    {
        return Err(format!("step {step:?} is no positive number"));
    }
    if range == "*" || range == "?" {
        return Ok(());
    }
    let (low, high) = range.split_once('-').map_or((range, None), |(low, high)| (low, Some(high)));
    let low = value(field, low)?;
    match high.map(|high| value(field, high)).transpose()? {
        Some(high) if high < low => Err(format!("{range} ends before it begins")),
        _ => Ok(()),
    }
}

fn value(field: &Field, text: &str) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    let number = match field.names.iter().position(|name| *name == lower) {
        // Both lists begin at the least value of their field.
        Some(index) => u32::try_from(index).ok().map(|index| index + field.range.start()),
        None => text.parse().ok(),
    };
    number
        .filter(|number| field.range.contains(number))
        .ok_or_else(|| format!("{text:?} is not between {} and {}", field.range.start(), field.range.end()))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn schedules_that_dapr_understands_are_accepted() {
        for schedule in [
            "*/5 * * * *",
            "0 */5 * * * *",
            "0 9-17 * * MON-FRI",
            "0,30 8 1,15 jan,jul ?",
            "@every 15m",
            "@every 1h30m",
            "@daily",
            "5/15 * * * *",
        ] {
            assert_eq!(check(schedule), Ok(()), "{schedule}");
        }
    }

    #[test]
    fn schedules_that_would_stop_the_sidecar_are_refused() {
        for schedule in [
            "",
            "* * * *",
            "* * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "*/0 * * * *",
            "30-10 * * * *",
            "a * * * *",
            "@every five",
            "@every -5m",
            "@every 100ms",
            "@sometimes",
            "1--2 * * * *",
            "1, * * * *",
        ] {
            assert!(check(schedule).is_err(), "{schedule}");
        }
    }
}
