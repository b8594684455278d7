//! Logs.

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// What the libraries have to say belongs into a log only when something is wrong.
const LIBRARIES: &str = "kube_client=warn,kube_runtime=warn,rskafka=error";

/// Begins to log to the standard error output. `RUST_LOG` chooses what is logged: a level for the operator alone, or
/// directives for whatever they name.
pub fn install(format: LogFormat) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let level = if wanted.is_empty() { "info" } else { &wanted };
    let filter = if level.contains(['=', ',']) { level.to_owned() } else { format!("{level},{LIBRARIES}") };
    let builder = fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr);
    // An error means that something logs already, as in tests; then its way is as good.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
}
