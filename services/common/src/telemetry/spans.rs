//! Spans of this service, each a part of the trace that its caller or event belongs to. What they say is a matter of routes,
//! topics, counts and ids of events: nothing of what users write. Without a collector none are made.

use std::{borrow::Cow, sync::OnceLock, time::SystemTime};

pub(crate) use opentelemetry::trace::SpanKind;
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        Link, Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _,
    },
};
use opentelemetry_sdk::trace::{SdkTracer, Span as Made};
use todo_traces::{Origin, Traces};

use super::trace_context;
use crate::config::{Settings, Spans};

/// Traces that one span is linked to. Of more, the rest is left out.
const LINKS: usize = 32;

static TRACES: OnceLock<(Traces, SdkTracer)> = OnceLock::new();

/// Begins to send spans, if there is a collector that takes them. To be called within a runtime, once.
pub fn start(settings: &Settings) {
    let collector = match &settings.spans {
        Spans::None => return,
        Spans::Unsent(reason) => {
            tracing::warn!(reason, "this service sends no spans");
            return;
        }
        Spans::To(collector) => collector,
    };
    let origin = Origin {
        name: settings.service,
        namespace: Some(&settings.namespace),
        version: env!("CARGO_PKG_VERSION"),
        instance: &settings.pod_name,
    };
    match Traces::start(collector, origin) {
        Ok(made) => {
            let source = made.tracer();
            // A second call changes nothing.
            let _ = TRACES.set((made, source));
        }
        Err(error) => tracing::warn!(%error, "this service sends no spans"),
    }
}

/// Sends what still waits. Spans that are made later are lost.
pub async fn end() {
    if let Some((traces, _)) = TRACES.get() {
        traces.end().await;
    }
}

/// A span that is under way; it ends when this is dropped. Nothing if nobody looks at its trace.
#[derive(Debug)]
pub(crate) struct Span(Option<Box<Made>>);

impl Span {
    /// A part of the trace `parent`, or, without one, the first of a new one. Whether a trace is looked at is said by who
    /// began it.
    pub(crate) fn begin(kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>, parent: Option<&str>) -> Self {
        let Some((_, tracer)) = TRACES.get() else { return Self(None) };
        match parent.map(context) {
            Some(Some(parent)) if !parent.is_sampled() => Self(None),
            parent => Self::make(tracer, kind, name(), parent.flatten(), Vec::new(), SystemTime::now()),
        }
    }

    /// Work that was begun at `start` for several, each with a trace of its own: a part of the first trace that is looked
    /// at, with links to the others. Nothing if there is none.
    pub(crate) fn of_several<'a>(
        kind: SpanKind,
        name: &'static str,
        several: impl IntoIterator<Item = &'a str>,
        start: SystemTime,
    ) -> Self {
        let Some((_, tracer)) = TRACES.get() else { return Self(None) };
        let mut looked_at = several.into_iter().filter_map(context).filter(SpanContext::is_sampled);
        let Some(first) = looked_at.next() else { return Self(None) };
        let links = looked_at.take(LINKS).map(Link::with_context).collect();
        Self::make(tracer, kind, name.into(), Some(first), links, start)
    }

    fn make(
        tracer: &SdkTracer,
        kind: SpanKind,
        name: Cow<'static, str>,
        parent: Option<SpanContext>,
        links: Vec<Link>,
        start: SystemTime,
    ) -> Self {
        let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = tracer.span_builder(name).with_kind(kind).with_links(links).with_start_time(start);
        Self(Some(Box::new(builder.start_with_context(tracer, &parent))))
    }

    /// What its work passes on as its trace.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span_context();
        let flags = context.trace_flags().to_u8();
        Some(format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
    }

    /// Adds a field.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Adds a link to another trace, if it is looked at.
    pub(crate) fn link(&mut self, trace: Option<&str>) {
        if let Some(span) = &mut self.0
            && let Some(trace) = trace.and_then(context).filter(SpanContext::is_sampled)
        {
            span.add_link(trace, Vec::new());
        }
    }

    /// Says that it went wrong. Why is a matter of the log.
    pub(crate) fn fail(&mut self) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(""));
        }
    }
}

/// What a `traceparent` says; nothing if it is malformed.
fn context(traceparent: &str) -> Option<SpanContext> {
    let parts: Vec<&str> = trace_context::well_formed(Some(traceparent))?.split('-').collect();
    let [_, trace, span, flags] = parts[..] else { return None };
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_looked_at_if_its_first_flag_says_so() {
        let flags = |flags: &str| {
            context(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")).unwrap().is_sampled()
        };
        assert_eq!(["00", "01", "02", "03"].map(flags), [false, true, false, true]);
        assert!(context("00-4bf92f3577b34da6a3ce929d0e0e4736-01").is_none());
    }

    #[test]
    fn without_a_collector_no_span_is_made() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let span = Span::begin(SpanKind::Server, || unreachable!("nobody needs its name"), Some(trace));
        assert_eq!(span.traceparent(), None);
    }
}
