//! The operator's program, but that passes over the platforms of one namespace panic in their midst. The operator knows nothing
//! of it: what panics is whatever is told of its spans, where a collector would be.
#![forbid(unsafe_code)]

use std::{fmt::Debug, process::ExitCode};

use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    fmt,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

// As the operator has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Where passes panic; `bench isolation` has the name, too.
const NAMESPACE: &str = "isolation-panicking";
/// The step in which they do: Secrets are read then, and nothing is written yet.
const STEP: &str = "infrastructure";

fn main() -> ExitCode {
    let of_operator = filter_fn(|line| {
        let level = if line.target().starts_with("todo_operator") { Level::INFO } else { Level::WARN };
        line.is_event() && *line.level() <= level
    });
    let spans = Targets::new().with_target("spans", LevelFilter::INFO);
    tracing_subscriber::registry()
        .with(fmt::layer().with_writer(std::io::stderr).with_filter(of_operator))
        .with(Panics.with_filter(spans))
        .init();
    todo_operator::cli::main()
}

/// Panics where a pass over a platform of [`NAMESPACE`] comes to [`STEP`].
struct Panics;

/// A pass that is to panic.
struct Doomed;

/// The value of one field, if it is there.
struct Find {
    field: &'static str,
    value: Option<String>,
}

impl Find {
    fn of(field: &'static str, attributes: &Attributes<'_>) -> Option<String> {
        let mut find = Self { field, value: None };
        attributes.record(&mut find);
        find.value
    }
}

impl Visit for Find {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            self.value = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl<S> Layer<S> for Panics
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if Find::of("k8s.namespace.name", attributes).as_deref() == Some(NAMESPACE) {
            span.extensions_mut().insert(Doomed);
        }
        let is_doomed = || span.parent().is_some_and(|pass| pass.extensions().get::<Doomed>().is_some());
        assert!(Find::of("otel.name", attributes).as_deref() != Some(STEP) || !is_doomed(), "as the bench wants it");
    }
}
