//! The system while its parts are killed, frozen and cut off, each once. `cargo xtask bench chaos` does it for longer.

use todo_e2e::{
    chaos::{self, Ground, history::Outcome, webhooks},
    harness::{ChannelSink, Namespace, Platform},
};

#[tokio::test]
async fn nothing_is_lost_and_nothing_happens_twice_whatever_part_fails() {
    Namespace::with("chaos", async |namespace| {
        let sink = ChannelSink::start(&namespace.env.cluster).await?;
        let platform = Platform::apply(&namespace, "todo", webhooks::spec(&sink)).await?;
        platform.ready().await?;
        let seed = match std::env::var("CHAOS_SEED") {
            Ok(text) => text.parse()?,
            Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
        };
        eprintln!("CHAOS_SEED={seed}");
        let report = chaos::run(&Ground::cluster(platform), &sink, seed, 1).await?;
        let acknowledged = report.history.count(Outcome::Acknowledged);
        let (operations, events) = (report.history.0.len(), report.facts.outbox.len());
        eprintln!("{acknowledged} of {operations} operations acknowledged, {events} events, CHAOS_SEED={seed}");
        let violations: Vec<_> = report.violations().iter().map(ToString::to_string).collect();
        anyhow::ensure!(violations.is_empty(), "CHAOS_SEED={seed}: {}", violations.join("; "));
        anyhow::ensure!(acknowledged > 100, "only {acknowledged} operations were acknowledged");
        report.is_evidence()
    })
    .await;
}
