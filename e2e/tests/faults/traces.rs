//! The spans of an operator's passes, as a collector sees them.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message;
use todo_e2e::{
    faults::{Ground, Operator, Options, SETTLED},
    harness::{until, wait},
};
use tokio::{net::TcpListener, task::JoinSet};

/// Spans wait so long for others, and a bit.
const DELIVERED: Duration = Duration::from_secs(20);
/// Lines of the log that are looked through; there are fewer.
const LINES: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_sent_each_pass_with_its_steps_and_writes_and_nothing_secret() -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    let (walk, mut proxy, collector) = (ground.walk(0).await?, ground.proxy().await?, Collector::start().await?);
    let namespace = walk.namespace.as_str();
    let options = Options { collector: Some(collector.url.clone()), ..Options::default() };
    let operator = Operator::start_with(&mut proxy, ground.folder.path(), Some(namespace), "operator", options)?;
    Ground::make_platform(&ground.client, namespace).await?;
    ground.created(&proxy, namespace).await?;
    until("the last write is told", DELIVERED, || async {
        Ok(collector.spans().iter().any(|span| of(span, "k8s.object.name") == "backend-service").then_some(()))
    })
    .await?;
    // What still waits is sent at the end.
    operator.stop().await?;

    let spans = collector.spans();
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.span_id.clone(), span)).collect();
    let above = |span: &Span| by_id.get(&span.parent_span_id).map(|above| above.name.clone()).unwrap_or_default();
    let passes: Vec<_> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    for pass in &passes {
        anyhow::ensure!(pass.name == "reconcile", "{} is above everything", pass.name);
        anyhow::ensure!(of(pass, "k8s.namespace.name") == namespace && of(pass, "todoplatform.name") == "todo");
        let is_wrong = pass.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
        anyhow::ensure!(is_wrong == (of(pass, "todoplatform.result") != "ok"), "{pass:?}");
    }
    for (step, parent) in [
        ("dereference", "reconcile"),
        ("infrastructure", "reconcile"),
        ("build", "reconcile"),
        ("plan", "reconcile"),
        ("apply", "reconcile"),
        ("write", "apply"),
        ("observe", "reconcile"),
        ("status", "reconcile"),
    ] {
        let mut all = spans.iter().filter(|span| span.name == step).peekable();
        anyhow::ensure!(all.peek().is_some(), "there is no span of {step}");
        let strange: Vec<_> = all.filter(|span| above(span) != parent).collect();
        anyhow::ensure!(strange.is_empty(), "not below {parent}: {strange:?}");
    }
    let writes = spans.iter().filter(|span| span.name == "write").count();
    let written = proxy.ledger().work().filter(|entry| entry.target.subresource != "status").count();
    anyhow::ensure!(writes == written, "{writes} spans of {written} writes");
    let text = format!("{:?}", collector.messages());
    anyhow::ensure!(!text.contains("postgres://"), "a value of a Secret is in a span");
    anyhow::ensure!(
        text.contains("service.name") && text.contains("todo-operator"),
        "nobody knows whose spans they are"
    );
    println!("{} passes, {} spans in {} messages", passes.len(), spans.len(), collector.messages().len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_one_line_and_no_time() -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        format!("http://{}", listener.local_addr()?)
    };
    let options = Options { collector: Some(nobody), ..Options::default() };
    let operator = Operator::start_with(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator", options)?;
    Ground::make_platform(&ground.client, &walk.namespace).await?;
    ground.created(&proxy, &walk.namespace).await?;
    let said = || operator.last_words(LINES).matches("the collector takes no spans").count();
    until("it is said", SETTLED, || async { Ok((said() > 0).then_some(())) }).await?;
    // As long as several batches take.
    wait::throughout("it is said only once", DELIVERED, || async { Ok(said() == 1) }).await?;
    operator.stop().await?;
    anyhow::ensure!(said() == 1, "said {} times:\n{}", said(), operator.last_words(LINES));
    Ok(())
}

/// Takes spans as a collector does.
struct Collector {
    url: String,
    messages: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    _listener: JoinSet<()>,
}

impl Collector {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let messages = Arc::new(Mutex::default());
        let mut tasks = JoinSet::new();
        let taken = Arc::clone(&messages);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                connections.spawn(async move {
                    let service = service_fn(|request| take(request, &taken));
                    // A client may close its connection at any time.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { url, messages, _listener: tasks })
    }

    fn messages(&self) -> Vec<ExportTraceServiceRequest> {
        self.messages.lock().unwrap().clone()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.messages().into_iter().flat_map(|message| message.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// What is no message of spans is refused.
async fn take(
    request: Request<Incoming>,
    taken: &Mutex<Vec<ExportTraceServiceRequest>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = match read(request).await {
        Ok(message) => {
            taken.lock().unwrap().push(message);
            200
        }
        Err(error) => {
            println!("refused: {error:#}");
            400
        }
    };
    Ok(Response::builder().status(status).body(Full::default()).unwrap())
}

async fn read(request: Request<Incoming>) -> anyhow::Result<ExportTraceServiceRequest> {
    anyhow::ensure!(request.method() == "POST" && request.uri().path() == "/v1/traces", "{}", request.uri());
    let body = request.into_body().collect().await?.to_bytes();
    ExportTraceServiceRequest::decode(body).context("no message of spans")
}

/// A field of a span; nothing if it has no such text.
fn of<'a>(span: &'a Span, name: &str) -> &'a str {
    let is_it = |field: &&KeyValue| field.key == name;
    let value = span.attributes.iter().find(is_it).and_then(|field| field.value.as_ref()?.value.as_ref());
    match value {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}
