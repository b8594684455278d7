//! One trace from a request to what its event did, through real sidecars and a real broker.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use todo_e2e::harness::{Env, Platform, machine, until};
use todo_traces::testing::Collector;

use crate::shared;

/// Services send to no other port.
const PORT: u16 = 4318;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// Above all of it.
const CALLER: &str = "00f067aa0ba902b7";
/// By which sidecars' spans are known.
const OF_SIDECARS: &str = "dapr-diagnostics";
/// Services send what they have every few seconds, as sidecars do.
const SENT: Duration = Duration::from_secs(30);

/// A span and who made it.
#[derive(Debug)]
struct Told {
    name: String,
    is_sidecars: bool,
    trace: String,
    id: String,
    parent: String,
    links: Vec<String>,
}

/// A collector on this machine.
pub(crate) async fn collector(env: &Env) -> anyhow::Result<Collector> {
    Ok(Collector::start_at((machine::seen_by_pods(&env.cluster).await?, PORT)).await?)
}

/// Completes a task that repeats, as part of a trace, and finds the whole way of the event in it.
pub(crate) async fn followed(platform: &Platform, collector: &Collector) -> anyhow::Result<()> {
    let page = platform.page().await?;
    let due = "2030-06-01T09:00:00Z";
    let task = json!({"user_id": "eve", "title": "stretch", "due_at": due, "recurrence": {"rrule": "FREQ=DAILY"}});
    let task = shared::add_task(&page, task).await?;
    let complete = format!("/api/tasks/{}/complete?user_id=eve", task["id"].as_str().unwrap_or_default());
    let trace = format!("00-{TRACE}-{CALLER}-01");
    page.send(Method::POST, &complete, &[("traceparent", trace.as_str())], &json!({})).await?.expect(200)?;
    let is_told = async || Ok(is_whole(&told(collector)).then_some(()));
    let whole = until("the trace has the event's whole way", SENT, is_told).await;
    let of_the_trace = || told(collector).into_iter().filter(|span| span.trace == TRACE).collect::<Vec<_>>();
    whole.map_err(|error| anyhow::anyhow!("{error}: {:#?}", of_the_trace()))
}

/// Whether there is the request, which came through sidecars; below it the batch of the outbox with the call of the
/// sidecar and what that did; and the consumer, which a sidecar had called.
fn is_whole(told: &[Told]) -> bool {
    let named = |name: &'static str| {
        told.iter().filter(move |span| span.trace == TRACE && span.name == name && !span.is_sidecars)
    };
    let sidecars = || told.iter().filter(|span| span.is_sidecars);
    let below = |name, above: &Told| named(name).filter(|span| span.parent == above.id).collect::<Vec<_>>();
    named("POST /api/tasks/{id}/complete").any(|request| {
        let published = below("relay", request).into_iter().flat_map(|relay| below("publish", relay));
        let taken = published
            .into_iter()
            .any(|publish| sidecars().any(|span| span.trace == TRACE && span.parent == publish.id));
        // The request by which a sidecar delivered the event is no part of its way, and so is linked.
        let delivered = |id: &str| told.iter().any(|span| span.id == id && sidecars().any(|one| one.id == span.parent));
        let processed = below("process task-events", request);
        let processed = processed.iter().any(|process| process.links.iter().any(|link| delivered(link)));
        came_through_a_sidecar(told, request) && taken && processed
    })
}

/// Whether what is above a span, up to the caller, has a sidecar's span.
fn came_through_a_sidecar(told: &[Told], span: &Told) -> bool {
    let mut above = span;
    let mut by_sidecar = false;
    while above.parent != CALLER {
        let Some(next) = told.iter().find(|one| one.trace == TRACE && one.id == above.parent) else { return false };
        by_sidecar |= next.is_sidecars;
        above = next;
    }
    by_sidecar
}

/// All spans that were sent.
fn told(collector: &Collector) -> Vec<Told> {
    let resources = collector.messages().into_iter().flat_map(|message| message.resource_spans);
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    scopes
        .flat_map(|scope| {
            let is_sidecars = scope.scope.is_some_and(|scope| scope.name == OF_SIDECARS);
            scope.spans.into_iter().map(move |span| Told {
                name: span.name,
                is_sidecars,
                trace: hex::encode(span.trace_id),
                id: hex::encode(span.span_id),
                parent: hex::encode(span.parent_span_id),
                links: span.links.iter().map(|link| hex::encode(&link.span_id)).collect(),
            })
        })
        .collect()
}
