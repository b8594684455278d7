//! Logs.

use clap::ValueEnum;
use todo_traces::Traces;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

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
    let all = tracing_subscriber::registry()
        .with(lines(format, std::io::stderr).with_filter(EnvFilter::new(directives(&wanted))))
        .with(traces.map(traces::layer));
    // An error means that something logs already, as in tests; then its way is as good.
    let _ = all.try_init();
}

/// What writes lines to `writer`.
fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    }
}

/// What is logged. Spans are no part of it: lines name the platform that they are about.
fn directives(wanted: &str) -> String {
    let level = if wanted.is_empty() { "info" } else { wanted };
    let libraries = if level.contains(['=', ',']) { String::new() } else { format!(",{LIBRARIES}") };
    format!("{level}{libraries},{}=off", traces::TARGET)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use serde::Deserialize;
    use serde_json::{Map, Value};
    use tracing::{subscriber::DefaultGuard, warn};

    use super::*;

    /// A line of the log, which names each of its fields once.
    #[derive(Debug, Deserialize)]
    pub(crate) struct Line {
        timestamp: String,
        pub(crate) level: String,
        target: String,
        pub(crate) message: String,
        #[serde(flatten)]
        pub(crate) fields: Map<String, Value>,
    }

    /// What this thread logs as JSON.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        /// Begins to capture, until the guard is dropped.
        pub(crate) fn start() -> (Self, DefaultGuard) {
            let (captured, filter) = (Self::default(), EnvFilter::new(directives("")));
            let writer = captured.clone();
            let lines = lines(LogFormat::Json, move || writer.clone()).with_filter(filter);
            (captured, tracing_subscriber::registry().with(lines).set_default())
        }

        /// All lines up to now.
        pub(crate) fn lines(&self) -> Vec<Line> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            text.lines().map(read).collect()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_is_a_json_object_with_its_message_and_what_it_is_about() {
        let (captured, _guard) = Captured::start();
        warn!(platform = "todo", partitions = 3, error = %"two\nlines with \"quotes\"", "cannot write the {}", "status");
        let lines = captured.lines();
        let [Line { timestamp, level, target, message, fields }] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
        assert_eq!(
            (level.as_str(), target.as_str(), message.as_str()),
            ("WARN", module_path!(), "cannot write the status")
        );
        let expected = serde_json::json!({"platform": "todo", "partitions": 3, "error": "two\nlines with \"quotes\""});
        assert_eq!(Value::Object(fields.clone()), expected);
    }

    #[test]
    fn spans_are_no_part_of_the_log_whatever_is_wanted() {
        assert_eq!(directives(""), format!("info,{LIBRARIES},spans=off"));
        assert_eq!(directives("debug"), format!("debug,{LIBRARIES},spans=off"));
        assert_eq!(directives("todo_operator=trace,kube=info"), "todo_operator=trace,kube=info,spans=off");
    }
}
