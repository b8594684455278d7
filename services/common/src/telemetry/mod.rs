//! Logs, metrics, spans and the trace context.

mod panics;
mod requests;
pub mod spans;
pub mod trace_context;

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
    time::Duration,
};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;
use tracing_subscriber::EnvFilter;

pub use requests::track;

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Upper bounds of the buckets of lateness, in seconds. They reach beyond what alerts ask for: the quantile of what is above
/// the last is the last.
const LATENESS: [f64; 10] = [0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The metrics recorder.
    #[error("metrics cannot be set up: {0}")]
    Metrics(#[from] BuildError),
    /// The subscriber of log lines.
    #[error("logs cannot be set up: {0}")]
    Logs(String),
}

/// The library for MCP logs what callers send, whole notifications as soon as on level `info`.
const QUIET: &str = "rmcp=error";

/// Sets up logs (JSON by `RUST_LOG`, text on a terminal) and metrics. To be called once, first thing in `main`.
pub fn init(service: &'static str) -> Result<(), Error> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = || EnvFilter::try_new(directives(&wanted)).unwrap_or_else(|_| EnvFilter::new(directives("")));
    let logs = if io::stdout().is_terminal() {
        tracing_subscriber::fmt().with_env_filter(filter()).try_init()
    } else {
        tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter()).try_init()
    };
    logs.map_err(|error| Error::Logs(error.to_string()))?;
    panics::log();
    let handle = PrometheusBuilder::new()
        .add_global_label("service", service)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("reminder_lateness_seconds".to_owned()), &LATENESS)?
        .install_recorder()?;
    // A second call has failed at the subscriber already.
    let _ = METRICS.set(handle);
    Ok(())
}

/// What `/metrics` shows; nothing before [`init`].
pub fn metrics_handle() -> Option<&'static PrometheusHandle> {
    METRICS.get()
}

/// Puts samples into their buckets after each of these times. The recorder keeps each by itself until then: where nobody reads
/// `/metrics`, every request would take memory for good.
pub async fn fold_samples(every: Duration) {
    loop {
        sleep(every).await;
        if let Some(handle) = metrics_handle() {
            handle.run_upkeep();
        }
    }
}

/// What is logged, by what `RUST_LOG` says.
fn directives(wanted: &str) -> String {
    let wanted = if wanted.is_empty() { "info" } else { wanted };
    if wanted.contains("rmcp") { wanted.to_owned() } else { format!("{wanted},{QUIET}") }
}

#[cfg(test)]
mod tests {
    use super::directives;

    #[test]
    fn what_callers_of_mcp_send_is_logged_only_where_that_is_asked_for() {
        assert_eq!(directives(""), "info,rmcp=error");
        assert_eq!(directives("debug,sqlx=info"), "debug,sqlx=info,rmcp=error");
        assert_eq!(directives("info,rmcp=debug"), "info,rmcp=debug");
    }
}
