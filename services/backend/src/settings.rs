//! The backend's own part of the environment.

use std::time::Duration;

use todo_common::config::{ConfigError, optional};

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
    /// `MCP_ALLOWED_HOSTS`, separated by commas: values of the header `Host` that `/mcp` takes. None means any.
    pub(crate) mcp_allowed_hosts: Vec<String>,
}

impl Own {
    /// Reads the process environment.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        let mode: Option<String> = optional("REMINDER_MODE")?;
        Self::new(optional("REMINDER_WINDOW_SECONDS")?, mode.as_deref(), optional("MCP_ALLOWED_HOSTS")?)
    }

    fn new(window: Option<u64>, mode: Option<&str>, hosts: Option<String>) -> Result<Self, ConfigError> {
        let window = window.unwrap_or(REMINDER_WINDOW);
        if window > LONGEST_WINDOW {
            return Err(ConfigError(vec![format!("REMINDER_WINDOW_SECONDS must be at most {LONGEST_WINDOW}")]));
        }
        let has_precise_reminders = match mode {
            None | Some("Tick") => false,
            Some("Precise") => true,
            Some(_) => return Err(ConfigError(vec!["REMINDER_MODE must be Tick or Precise".to_owned()])),
        };
        let hosts = hosts.unwrap_or_default();
        let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
        Ok(Self { reminder_window: Duration::from_secs(window), has_precise_reminders, mcp_allowed_hosts: hosts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_environment_the_window_is_five_minutes_and_any_host_may_come() {
        let own = Own::new(None, None, None).unwrap();
        let default = Own {
            reminder_window: Duration::from_mins(5),
            has_precise_reminders: false,
            mcp_allowed_hosts: Vec::new(),
        };
        assert_eq!(own, default);
    }

    #[test]
    fn hosts_are_separated_by_commas_and_the_window_is_bounded() {
        let own = Own::new(Some(60), None, Some("todo.example.com, localhost".into())).unwrap();
        assert_eq!(own.mcp_allowed_hosts, ["todo.example.com", "localhost"]);
        assert!(Own::new(Some(LONGEST_WINDOW + 1), None, None).is_err());
    }

    #[test]
    fn reminders_come_by_ticks_unless_they_are_to_be_precise() {
        let precise = |mode| Own::new(None, mode, None).map(|own| own.has_precise_reminders);
        assert_eq!(precise(Some("Tick")), Ok(false));
        assert_eq!(precise(Some("Precise")), Ok(true));
        assert!(precise(Some("precisely")).is_err());
    }
}
