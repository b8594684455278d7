//! Traces: what a pass spends its time with, as spans that a collector is sent by OTLP over HTTP. Spans have fields that this
//! program names, and no lines of the log, so that nothing secret can get into them.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;
use tracing::{Span, Subscriber, info, info_span, level_filters::LevelFilter, warn};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// By this, spans are told from lines of the log.
pub(super) const TARGET: &str = "spans";
const SERVICE: &str = "todo-operator";

/// Spans that wait for the collector. What is more is dropped.
const QUEUE: usize = 2048;
/// Spans that are sent together.
const BATCH: usize = 512;
/// How long spans wait for others.
const DELAY: Duration = Duration::from_secs(5);
/// How long the collector may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the last spans may take at the end.
const END: Duration = Duration::from_secs(2);
/// How often it is said that spans are lost.
const TOLD: Duration = Duration::from_mins(10);

/// Where spans go.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Its URL, such as `http://collector.observability:4318`.
    pub endpoint: Endpoint,
    /// Share of passes whose spans are sent, from 0 to 1.
    pub sampling_rate: f64,
}

/// URL of a collector: plain HTTP, and nothing in it that could be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// Why a URL is none of a collector.
#[derive(Debug, thiserror::Error)]
#[error(
    "write http://HOST:PORT of a collector that takes OTLP over HTTP; there is no TLS here, and no user, query or fragment"
)]
pub struct EndpointError;

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = reqwest::Url::parse(text).map_err(|_| EndpointError)?;
        let plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none();
        if plain && bare { Ok(Self(text.trim_end_matches('/').to_owned())) } else { Err(EndpointError) }
    }
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

/// What sends spans, in a thread of its own.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send spans of this replica. To be called within a runtime.
    pub fn start(collector: &Collector, identity: &str, version: &str) -> Result<Self, TracesError> {
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { client, runtime: Handle::current(), news: News::default() })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.endpoint.0))
            // One try: spans that are late are worth less than the room that they take.
            .with_retry_policy(RetryPolicy::default().with_max_retries(0))
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let resource = Resource::builder_empty()
            .with_service_name(SERVICE)
            .with_attribute(KeyValue::new("service.version", version.to_owned()))
            .with_attribute(KeyValue::new("service.instance.id", identity.to_owned()))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(collector.sampling_rate))))
            .with_resource(resource)
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .build();
        Ok(Self(provider))
    }

    /// What turns spans of this program into those that are sent.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let layer: OpenTelemetryLayer<S, SdkTracer> = OpenTelemetryLayer::new(self.0.tracer(SERVICE));
        layer
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }

    /// Sends what still waits, if the collector is quick enough.
    pub async fn end(self) {
        // It blocks, and what it waits for may need this thread.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(END)).await;
        if !matches!(ended, Ok(Ok(()))) {
            info!("the last spans were not delivered");
        }
    }
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

/// Sends requests of the exporter, whose thread has no runtime.
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    news: News,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move { client.send_bytes(request).await }).await;
        let answer = answer.map_err(HttpError::from).flatten();
        let wrong = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("answered {}", answer.status().as_u16())),
            Err(error) => Some(words(error)),
        };
        match (self.news.of(wrong.is_some(), Instant::now()), wrong) {
            (true, Some(error)) => warn!(%error, "the collector takes no spans; they are dropped"),
            (true, None) => info!("the collector takes spans again"),
            (false, _) => {}
        }
        answer
    }
}

fn words(error: &HttpError) -> String {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => format!("no answer within {} s", DEADLINE.as_secs()),
        Some(error) if error.is_connect() => "cannot be reached".to_owned(),
        _ => "broke off".to_owned(),
    }
}

/// When it was last said that spans are lost.
#[derive(Debug, Default)]
struct News(Mutex<Option<Instant>>);

impl News {
    /// Whether it is worth a line that spans are lost, or are not any more.
    fn of(&self, lost: bool, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lost {
            return told.take().is_some();
        }
        let is_due = told.is_none_or(|then| now.duration_since(then) >= TOLD);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_a_plain_url_that_holds_no_secret() {
        let endpoint = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.0).ok();
        assert_eq!(endpoint("http://collector:4318/").as_deref(), Some("http://collector:4318"));
        assert_eq!(endpoint("http://gateway/otlp").as_deref(), Some("http://gateway/otlp"));
        for wrong in [
            "",
            "collector:4318",
            "https://collector",
            "http://me:secret@collector",
            "http://c?key=secret",
            "http://c#x",
        ] {
            assert_eq!(endpoint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn that_spans_are_lost_is_said_at_once_and_then_seldom_and_that_they_are_not_any_more_once() {
        let (news, begun) = (News::default(), Instant::now());
        let all =
            [(false, 0), (true, 5), (true, 10), (true, 604), (true, 605), (false, 610), (false, 615), (true, 620)];
        let told = all.map(|(lost, seconds)| news.of(lost, begun + Duration::from_secs(seconds)));
        assert_eq!(told, [false, true, false, false, true, true, false, true]);
    }
}
