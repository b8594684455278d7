//! `cargo xtask bench chaos`: whether anything is lost or happens twice whatever breaks, and how fast a backlog drains.

mod outage;

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use todo_e2e::{
    chaos::{self, Ground, history::Outcome, webhooks},
    cluster::{Cluster, Settings},
    harness::{ChannelSink, Env, LocalPlatform, Namespace, Platform, until},
};

use crate::signals;

/// Until a platform without Kubernetes answers.
const LIMIT: Duration = Duration::from_mins(1);

/// How long it takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often each fault strikes; 0 for the outage alone.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// For the same order of faults again.
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds for which the broker is away while tasks are written; 0 for the faults alone.
    #[arg(long, default_value_t = 600)]
    outage: u64,
    /// Writes per second meanwhile.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// On a platform of processes of this machine, with the services as they were built for images. Without an outage.
    #[arg(long)]
    local: bool,
    /// With --local: the folder of the services' programs instead.
    #[arg(long, requires = "local")]
    programs: Option<PathBuf>,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    if arguments.local {
        let cluster = Cluster::running(&Settings::from_env()?).await?;
        println!("Faults, seed {seed}:");
        let faults = local(&cluster, arguments.programs.as_deref(), seed, arguments.rounds);
        return tell(&Box::pin(signals::unless_ended(faults)).await?);
    }
    let env = Env::connect().await?;
    if arguments.outage > 0 {
        on_platform(&env, json!({}), async |platform| outage::run(&platform, arguments).await).await?;
    }
    if arguments.rounds > 0 {
        println!("\nFaults, seed {seed}:");
        let sink = ChannelSink::start(&env.cluster).await?;
        let faults =
            async |platform| tell(&chaos::run(&Ground::cluster(platform), &sink, seed, arguments.rounds).await?);
        Box::pin(on_platform(&env, webhooks::spec(&sink), faults)).await?;
    }
    Ok(())
}

/// Does something with a platform of its own, which goes afterwards, also when the bench is to end before.
async fn on_platform(
    env: &Env,
    spec: Value,
    work: impl AsyncFnOnce(Platform) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let namespace = Namespace::create(env, "bench-chaos").await?;
    let result = signals::unless_ended(async {
        let platform = Platform::apply(&namespace, "todo", spec).await?;
        platform.ready().await?;
        work(platform).await
    })
    .await;
    let deleted = namespace.delete().await;
    // What went wrong before says more.
    result.and(deleted)
}

/// A round on processes of this machine, with the services' programs in this folder, or else as they were built for images.
pub(crate) async fn local(
    cluster: &Cluster,
    programs: Option<&Path>,
    seed: u64,
    rounds: usize,
) -> anyhow::Result<chaos::Report> {
    let sink = ChannelSink::start_at(Ipv4Addr::LOCALHOST, cluster.settings()).await?;
    let rendered = LocalPlatform::render(cluster).await?;
    rendered.allow_webhooks(sink.about("http"))?;
    let mut platform = match programs {
        Some(programs) => rendered.start_with(programs).await?,
        None => rendered.start().await?,
    };
    if let Err(error) = platform.healthy().await {
        eprintln!("{}", platform.dump());
        return Err(error);
    }
    let page = platform.page()?;
    until("the API answers", LIMIT, async || Ok(Some(page.get("/api/tasks?user_id=chaos").await?.expect(200)?)))
        .await?;
    let ground = Ground::local(platform);
    let report = chaos::run(&ground, &sink, seed, rounds).await;
    if report.is_err() {
        eprintln!("{}", ground.dump().await);
    }
    report
}

fn tell(report: &chaos::Report) -> anyhow::Result<()> {
    let (history, facts) = (&report.history, &report.facts);
    println!(
        "{} faults in {:.0?}: {} operations, {} acknowledged, {} unknown; {} events, {} webhooks; drained {:.1?} after the last fault",
        report.faults,
        report.lasted,
        history.0.len(),
        history.count(Outcome::Acknowledged),
        history.count(Outcome::Unknown),
        facts.outbox.len(),
        facts.received.len(),
        report.drained,
    );
    let violations = report.violations();
    for violation in &violations {
        println!("- {violation}");
    }
    anyhow::ensure!(violations.is_empty(), "{} violations", violations.len());
    report.is_evidence()?;
    println!("nothing lost, nothing twice, all in order");
    Ok(())
}
