//! The spans of an operator's passes, as a collector sees them.

use std::{collections::BTreeMap, time::Duration};

use todo_e2e::{
    faults::{Ground, Options, SETTLED},
    harness::{until, wait},
};
use todo_traces::testing::{Collector, Span, StatusCode, text_of as of};
use tokio::net::TcpListener;

use crate::{scene::Scene, support::beside_others};

/// Spans wait so long for others, and a bit.
const DELIVERED: Duration = Duration::from_secs(20);
/// Lines of the log that are looked through; there are fewer.
const LINES: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_sent_each_pass_with_its_steps_and_writes_and_nothing_secret() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let collector = Collector::start().await?;
    let options = Options { collector: Some(collector.url.clone()), ..Options::default() };
    let scene = Scene::with(&ground, options, Vec::new()).await?;
    scene.settle().await?;
    until("the last write is told", DELIVERED, || async {
        Ok(collector.spans().iter().any(|span| of(span, "k8s.object.name") == "backend-service").then_some(()))
    })
    .await?;
    // What still waits is sent at the end.
    scene.operator.stop().await?;

    let spans = collector.spans();
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.span_id.clone(), span)).collect();
    let above = |span: &Span| by_id.get(&span.parent_span_id).map(|above| above.name.clone()).unwrap_or_default();
    let passes: Vec<_> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    for pass in &passes {
        anyhow::ensure!(pass.name == "reconcile", "{} is above everything", pass.name);
        anyhow::ensure!(of(pass, "k8s.namespace.name") == scene.namespace && of(pass, "todoplatform.name") == "todo");
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
    let written = scene.proxy.ledger().work().filter(|entry| entry.target.subresource != "status").count();
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
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        format!("http://{}", listener.local_addr()?)
    };
    let options = Options { collector: Some(nobody), ..Options::default() };
    let scene = Scene::with(&ground, options, Vec::new()).await?;
    scene.settle().await?;
    let operator = &scene.operator;
    let said = || operator.last_words(LINES).matches("the collector takes no spans").count();
    until("it is said", SETTLED, || async { Ok((said() > 0).then_some(())) }).await?;
    // As long as several batches take.
    wait::throughout("it is said only once", DELIVERED, || async { Ok(said() == 1) }).await?;
    operator.stop().await?;
    anyhow::ensure!(said() == 1, "said {} times:\n{}", said(), operator.last_words(LINES));
    Ok(())
}
