//! When a delivery is tried again.

use std::time::Duration;

/// Waits after the first, second … attempt that failed; after the last there is no other attempt. Together about nine
/// hours: long enough for an evening's outage, short enough for a reminder to make sense.
const WAITS: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(5),
];

/// The wait after this attempt (1 is the first), or none if it was the last. `chance` between 0 and 1 spreads it by a fifth
/// in both directions, so that what failed together does not come back together. Who is asked for patience has it.
pub(super) fn wait(attempt: i32, chance: f64, patience: Option<Duration>) -> Option<Duration> {
    let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let wait = WAITS.get(index)?.mul_f64(0.8 + 0.4 * chance).max(patience.unwrap_or_default());
    // The database counts in microseconds and refuses what is finer.
    Some(Duration::from_millis(u64::try_from(wait.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_spread_and_end() {
        assert_eq!(wait(1, 0.5, None), Some(Duration::from_secs(5)));
        assert_eq!(
            (wait(2, 0.0, None), wait(2, 1.0, None)),
            (Some(Duration::from_secs(24)), Some(Duration::from_secs(36)))
        );
        let all: Vec<_> = (1..=8).map_while(|attempt| wait(attempt, 0.5, None)).collect();
        assert!(all.len() == 8 && all.is_sorted());
        assert_eq!((wait(9, 0.5, None), wait(100, 0.5, None)), (None, None));
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it() {
        let hour = Duration::from_hours(1);
        assert_eq!(wait(1, 0.5, Some(hour)), Some(hour));
        assert_eq!(wait(8, 0.5, Some(hour)), Some(Duration::from_hours(5)));
        assert_eq!(wait(9, 0.5, Some(hour)), None);
    }
}
