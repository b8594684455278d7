//! Logs.

use clap::ValueEnum;
use todo_traces::Traces;
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::traces;

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

/// Begins to log to the standard error output, and to trace where there is a collector. `RUST_LOG` chooses what is logged: a
/// level for the operator alone, or directives for whatever they name.
pub fn install(format: LogFormat, traces: Option<&Traces>) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let all = tracing_subscriber::registry()
        .with(lines.with_filter(EnvFilter::new(directives(&wanted))))
        .with(traces.map(traces::layer));
    // An error means that something logs already, as in tests; then its way is as good.
    let _ = all.try_init();
}

/// What is logged. Spans are no part of it: lines name the platform that they are about.
fn directives(wanted: &str) -> String {
    let level = if wanted.is_empty() { "info" } else { wanted };
    let libraries = if level.contains(['=', ',']) { String::new() } else { format!(",{LIBRARIES}") };
    format!("{level}{libraries},{}=off", traces::TARGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_no_part_of_the_log_whatever_is_wanted() {
        assert_eq!(directives(""), format!("info,{LIBRARIES},spans=off"));
        assert_eq!(directives("debug"), format!("debug,{LIBRARIES},spans=off"));
        assert_eq!(directives("todo_operator=trace,kube=info"), "todo_operator=trace,kube=info,spans=off");
    }
}
