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
    /// `MCP_ALLOWED_HOSTS`, separated by commas: values of the header `Host` that `/mcp` takes. None means any.
    pub(crate) mcp_allowed_hosts: Vec<String>,
}

impl Own {
    /// Reads the process environment.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        Self::new(optional("REMINDER_WINDOW_SECONDS")?, optional("MCP_ALLOWED_HOSTS")?)
    }

    fn new(window: Option<u64>, hosts: Option<String>) -> Result<Self, ConfigError> {
        let window = window.unwrap_or(REMINDER_WINDOW);
        if window > LONGEST_WINDOW {
            return Err(ConfigError(vec![format!("REMINDER_WINDOW_SECONDS must be at most {LONGEST_WINDOW}")]));
        }
        let hosts = hosts.unwrap_or_default();
        let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
        Ok(Self { reminder_window: Duration::from_secs(window), mcp_allowed_hosts: hosts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_environment_the_window_is_five_minutes_and_any_host_may_come() {
        let own = Own::new(None, None).unwrap();
        assert_eq!(own, Own { reminder_window: Duration::from_mins(5), mcp_allowed_hosts: Vec::new() });
    }

    #[test]
    fn hosts_are_separated_by_commas_and_the_window_is_bounded() {
        let own = Own::new(Some(60), Some("todo.example.com, localhost".into())).unwrap();
        assert_eq!(own.mcp_allowed_hosts, ["todo.example.com", "localhost"]);
        assert!(Own::new(Some(LONGEST_WINDOW + 1), None).is_err());
    }
}
