//! Traces: what a pass spends its time with, as spans that a collector is sent. Spans have fields that this program names, and
//! no lines of the log, so that nothing secret can get into them.

use opentelemetry_sdk::trace::SdkTracer;
use todo_traces::{Collector, Origin, Traces, TracesError};
use tracing::{Span, Subscriber, info_span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// By this, spans are told from lines of the log.
pub(super) const TARGET: &str = "spans";

/// Begins to send spans of this replica. To be called within a runtime.
pub fn start(collector: &Collector, identity: &str, version: &str) -> Result<Traces, TracesError> {
    Traces::start(collector, Origin { name: "todo-operator", namespace: None, version, instance: identity })
}

/// What turns spans of this program into those that are sent.
pub(super) fn layer<S>(traces: &Traces) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer: OpenTelemetryLayer<S, SdkTracer> = OpenTelemetryLayer::new(traces.tracer());
    layer
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
}

/// The span of a pass over a platform.
pub fn pass(namespace: &str, name: &str, generation: Option<i64>) -> Span {
    info_span!(
        target: TARGET,
        "reconcile",
        k8s.namespace.name = namespace,
        todoplatform.name = name,
        todoplatform.generation = generation,
        todoplatform.result = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    )
}

/// Notes in the span of a pass what became of it.
pub fn passed(span: &Span, result: &'static str, is_well: bool) {
    span.record("todoplatform.result", result);
    if !is_well {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of one step of a pass.
pub fn step(name: &'static str) -> Span {
    info_span!(target: TARGET, "step", otel.name = name)
}

/// The span of a write to the API server.
pub fn write(kind: &str, name: &str) -> Span {
    info_span!(target: TARGET, "write", otel.kind = "client", k8s.object.kind = kind, k8s.object.name = name)
}
