//! Spans on their way to a collector, by OTLP over HTTP: in batches, from a queue that has a bound, in a thread of its own. A
//! collector that is away costs spans and nothing else. What is in a span is for those to say who make it.

mod endpoint;
mod sender;
#[cfg(feature = "testing")]
pub mod testing;

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};
use tracing::info;

pub use endpoint::{Endpoint, EndpointError};
use sender::Sender;

/// Spans that wait for the collector. What is more is dropped.
const QUEUE: usize = 2048;
/// Spans that are sent together.
const BATCH: usize = 512;
/// How long spans wait for others.
const DELAY: Duration = Duration::from_secs(5);
/// How long the last spans may take at the end.
const END: Duration = Duration::from_secs(2);

/// Where spans go.
#[derive(Clone, Debug, PartialEq)]
pub struct Collector {
    /// Its URL, such as `http://collector.observability:4318`.
    pub endpoint: Endpoint,
    /// Share of traces begun here whose spans are sent, from 0 to 1. Of a trace that was begun elsewhere, it is said there.
    pub sampling_rate: f64,
}

/// Whose spans they are, by the names of OpenTelemetry's semantic conventions.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// `service.name`.
    pub name: &'static str,
    /// `service.namespace`: what keeps services of one name apart.
    pub namespace: Option<&'a str>,
    /// `service.version`.
    pub version: &'a str,
    /// `service.instance.id`.
    pub instance: &'a str,
}

/// Why spans cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The HTTP client.
    #[error("cannot make an HTTP client for traces: {0}")]
    Client(#[from] reqwest::Error),
    /// What makes messages of spans.
    #[error("cannot send traces: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What sends spans.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    name: &'static str,
}

impl Traces {
    /// Begins to send spans. To be called within a runtime.
    pub fn start(collector: &Collector, origin: Origin<'_>) -> Result<Self, TracesError> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new()?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.endpoint))
            // One try: spans that are late are worth less than the room that they take.
            .with_retry_policy(RetryPolicy::default().with_max_retries(0))
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let mut resource = Resource::builder_empty()
            .with_service_name(origin.name)
            .with_attribute(KeyValue::new("service.version", origin.version.to_owned()))
            .with_attribute(KeyValue::new("service.instance.id", origin.instance.to_owned()));
        if let Some(namespace) = origin.namespace {
            resource = resource.with_attribute(KeyValue::new("service.namespace", namespace.to_owned()));
        }
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(collector.sampling_rate))))
            .with_resource(resource.build())
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .build();
        Ok(Self { provider, name: origin.name })
    }

    /// What makes spans that are sent.
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer(self.name)
    }

    /// Sends what still waits, if the collector is quick enough. Spans that are made later are lost.
    pub async fn end(&self) {
        let provider = self.provider.clone();
        // It blocks, and what it waits for may need this thread.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(END)).await;
        if !matches!(ended, Ok(Ok(()))) {
            info!("the last spans were not delivered");
        }
    }
}
