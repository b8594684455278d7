//! `cargo xtask bench quiet`: what an operator asks of the API server while nothing changes, counted by a proxy between them.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use todo_e2e::{
    faults::{AtRest, EMBEDDED, EXTERNAL, Ground, Named, Operator},
    proxy::Proxy,
};

/// The platform whose Kafka and PostgreSQL are somebody else's, and the one of an empty spec. Of both brokers none answers.
const NAMED: [Named<'_>; 2] =
    [Named { namespace: "quiet-external", secrets: &EXTERNAL }, Named { namespace: "quiet-empty", secrets: &EMBEDDED }];
/// Lines of the operator's log that an error shows.
const LINES: usize = 12;

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long it is watched.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    let mut proxy = ground.proxy().await?;
    let operator = Operator::start(&mut proxy, ground.folder.path(), None, "bench-quiet")?;
    let measured = measured(&ground, &proxy, Duration::from_mins(arguments.minutes)).await;
    measured.with_context(|| format!("the operator says:\n{}", operator.last_words(LINES)))
}

async fn measured(ground: &Ground, proxy: &Proxy, time: Duration) -> anyhow::Result<()> {
    let [external, empty] = NAMED;
    for named in NAMED {
        ground.plane.namespace(named.namespace).await?;
    }
    Ground::make_platform(&ground.client, external.namespace).await?;
    Ground::make_platform_of(&ground.client, empty.namespace, &json!({})).await?;
    ground.created(proxy, external.namespace).await?;
    ground.created_but_services(proxy, empty.namespace).await?;
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let rest = AtRest::of(&proxy.ledger().since(begun), time, &NAMED);
    println!("{rest}");
    let too_much = rest.too_much();
    anyhow::ensure!(too_much.is_empty(), "too much at rest: {too_much:?}");
    Ok(())
}
