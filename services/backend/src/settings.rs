//! The backend's own part of the environment.

use std::time::Duration;

use todo_common::config::{ConfigError, Mistakes, optional};

/// How far ahead a tick claims reminders where nobody says: the specification's five minutes.
const REMINDER_WINDOW: u64 = 300;
/// Longest window: a day. Whoever wants more has mistaken the unit.
const LONGEST_WINDOW: u64 = 24 * 3600;

/// Settings of the backend only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// `REMINDER_WINDOW_SECONDS`: a tick claims what is due until then.
    pub(crate) reminder_window: Duration,
    /// `REMINDER_MODE` is `Precise`: a job of Dapr's scheduler beside the ticks.
    pub(crate) has_precise_reminders: bool,
}

impl Own {
    /// Reads the process environment.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        let mode: Result<Option<String>, _> = optional("REMINDER_MODE");
        Self::new(optional("REMINDER_WINDOW_SECONDS"), mode)
    }

    fn new(
        window: Result<Option<u64>, ConfigError>,
        mode: Result<Option<String>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let window = mistakes.note(window).flatten().unwrap_or(REMINDER_WINDOW);
        if window > LONGEST_WINDOW {
            mistakes.add(format!("REMINDER_WINDOW_SECONDS must be at most {LONGEST_WINDOW}"));
        }
        let mode = mistakes.note(mode).flatten();
        if mode.as_deref().is_some_and(|mode| !["Tick", "Precise"].contains(&mode)) {
            mistakes.add("REMINDER_MODE must be Tick or Precise");
        }
        mistakes.unless_any(Self {
            reminder_window: Duration::from_secs(window),
            has_precise_reminders: mode.as_deref() == Some("Precise"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_five_minutes_if_nothing_is_said_and_has_a_bound() {
        let default = Own { reminder_window: Duration::from_mins(5), has_precise_reminders: false };
        assert_eq!(Own::new(Ok(None), Ok(None)), Ok(default));
        assert!(Own::new(Ok(Some(LONGEST_WINDOW + 1)), Ok(None)).is_err());
    }

    #[test]
    fn reminders_come_by_ticks_unless_they_are_to_be_precise() {
        let precise = |mode: &str| Own::new(Ok(None), Ok(Some(mode.to_owned()))).map(|own| own.has_precise_reminders);
        assert_eq!(precise("Tick"), Ok(false));
        assert_eq!(precise("Precise"), Ok(true));
        assert!(precise("precisely").is_err());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let unreadable = Err(ConfigError(vec!["REMINDER_WINDOW_SECONDS cannot be read".to_owned()]));
        let ConfigError(mistakes) = Own::new(unreadable, Ok(Some("precisely".into()))).unwrap_err();
        assert_eq!(mistakes.len(), 2);
    }
}
