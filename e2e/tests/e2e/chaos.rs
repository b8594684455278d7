//! Nothing is lost and nothing happens twice, whatever breaks: the short form of `cargo xtask bench chaos`.

use serde_json::json;
use todo_e2e::{
    chaos::{self, history::Outcome},
    harness::{Namespace, Platform},
};

/// For the same order of faults again.
const SEED: &str = "CHAOS_SEED";

#[tokio::test]
async fn no_event_is_lost_and_none_takes_effect_twice_while_every_part_is_killed_frozen_and_cut_off() {
    let seed = std::env::var(SEED).ok().map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    eprintln!("chaos: {SEED}={seed}");
    Namespace::with("chaos", async |namespace| {
        let platform = Platform::apply(&namespace, "todo", json!({})).await?;
        platform.ready().await?;
        let report = chaos::run(&platform, seed, 1).await?;
        let (history, facts) = (&report.history, &report.facts);
        eprintln!(
            "chaos: {} operations, {} acknowledged, {} unknown; {} events, {} published; {} notifications; drained in {:?}",
            history.0.len(),
            history.count(Outcome::Acknowledged),
            history.count(Outcome::Unknown),
            facts.outbox.len(),
            facts.published.len(),
            facts.notifications.len(),
            report.drained,
        );
        // A run in which nothing worked would prove nothing.
        anyhow::ensure!(history.count(Outcome::Acknowledged) > 100, "too little was acknowledged");
        anyhow::ensure!(!facts.notifications.is_empty(), "nobody was reminded");
        let violations: Vec<_> = report.violations().iter().map(ToString::to_string).collect();
        anyhow::ensure!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
        platform.ready().await?;
        Ok(())
    })
    .await;
}
