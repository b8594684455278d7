//! A collector within a test.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode as Answer, routing::post};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
pub use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    task::JoinSet,
};

type Messages = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// Takes spans as a collector does, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens, such as `http://127.0.0.1:34567`.
    pub url: String,
    messages: Messages,
    _listener: JoinSet<()>,
}

impl Collector {
    /// Listens on a port of this machine.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0)).await
    }

    /// Listens at an address that others can reach.
    pub async fn start_at(address: impl ToSocketAddrs) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let messages = Messages::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&messages));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It serves until it is dropped.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, messages, _listener: tasks })
    }

    /// What was sent.
    pub fn messages(&self) -> Vec<ExportTraceServiceRequest> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All spans that were sent.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.messages().into_iter().flat_map(|message| message.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// What is no message of spans is refused.
async fn take(State(messages): State<Messages>, body: Bytes) -> Answer {
    let Ok(message) = ExportTraceServiceRequest::decode(body) else { return Answer::BAD_REQUEST };
    messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    Answer::OK
}

/// A field of a span; nothing if it has no such text.
pub fn text_of<'a>(span: &'a Span, name: &str) -> &'a str {
    let is_it = |field: &&KeyValue| field.key == name;
    let value = span.attributes.iter().find(is_it).and_then(|field| field.value.as_ref()?.value.as_ref());
    match value {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}
