//! `cargo xtask bench chaos`: whether anything is lost or happens twice whatever breaks, and how fast a backlog drains.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;
use todo_e2e::{
    chaos::{
        self, Ground, facts,
        history::{Foreign, Outcome},
    },
    cluster::{Cluster, Settings},
    harness::{Env, Frozen, LocalPlatform, Namespace, Platform, until},
};

/// Writers at the same time while the broker is away.
const WRITERS: usize = 8;
const DRAINED: Duration = Duration::from_mins(10);
/// Until a platform without Kubernetes answers.
const LIMIT: Duration = Duration::from_mins(1);

/// How long it takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often each fault strikes.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// For the same order of faults again.
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds for which the broker is away.
    #[arg(long, default_value_t = 60)]
    outage: u64,
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
        return tell(&local(&cluster, arguments.programs.as_deref(), seed, arguments.rounds).await?);
    }
    let env = Env::connect().await?;
    let namespace = Namespace::create(&env, "bench-chaos").await?;
    let result = in_namespace(&namespace, arguments, seed).await;
    namespace.delete().await?;
    result
}

async fn in_namespace(namespace: &Namespace, arguments: &Arguments, seed: u64) -> anyhow::Result<()> {
    let platform = Platform::apply(namespace, "todo", json!({})).await?;
    platform.ready().await?;
    outage(&platform, Duration::from_secs(arguments.outage)).await?;
    platform.ready().await?;

    println!("\nFaults, seed {seed}:");
    tell(&chaos::run(&Ground::cluster(platform), seed, arguments.rounds).await?)
}

/// A round on processes of this machine, with the services' programs in this folder, or else as they were built for images.
pub(crate) async fn local(
    cluster: &Cluster,
    programs: Option<&Path>,
    seed: u64,
    rounds: usize,
) -> anyhow::Result<chaos::Report> {
    let rendered = LocalPlatform::render(cluster).await?;
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
    let report = chaos::run(&ground, seed, rounds).await;
    if report.is_err() {
        eprintln!("{}", ground.dump().await);
    }
    report
}

fn tell(report: &chaos::Report) -> anyhow::Result<()> {
    let (history, facts) = (&report.history, &report.facts);
    println!(
        "{} faults in {:.0?}: {} operations, {} acknowledged, {} unknown; {} events; drained {:.1?} after the last fault",
        report.faults,
        report.lasted,
        history.0.len(),
        history.count(Outcome::Acknowledged),
        history.count(Outcome::Unknown),
        facts.outbox.len(),
        report.drained,
    );
    let violations = report.violations();
    for violation in &violations {
        println!("- {violation}");
    }
    anyhow::ensure!(violations.is_empty(), "{} violations", violations.len());
    println!("nothing lost, nothing twice, all in order");
    Ok(())
}

/// Writes while the broker hangs, and then measures how fast what has piled up is published and consumed.
async fn outage(platform: &Platform, length: Duration) -> anyhow::Result<()> {
    let broker = Frozen::freeze(&platform.namespace, "kafka-0", "kafka.Kafka").await?;
    let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(write(platform.clone(), number, length))).collect();
    let (mut asked, mut acknowledged) = (0_u32, 0_u32);
    for writer in writers {
        let (all, done) = writer.await??;
        asked += all;
        acknowledged += done;
    }
    broker.thaw().await?;
    let (ground, nobody) = (Ground::cluster(platform.clone()), Foreign::default());
    let waiting = async || facts::waiting(&ground, &nobody).await;
    let (back, backlog) = (Instant::now(), waiting().await?);
    until("the backlog has drained", DRAINED, async || Ok((waiting().await? == 0).then_some(()))).await?;
    let drained = back.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a backlog has fewer than 2^52 events")]
    let rate = backlog as f64 / drained.as_secs_f64();
    println!(
        "Broker away for {length:.0?}: {acknowledged} of {asked} writes acknowledged; {backlog} events drained in \
         {drained:.1?}, {rate:.0}/s from the broker's return to the last effect"
    );
    Ok(())
}

/// How many tasks were asked for, and how many answers said that they are stored.
async fn write(platform: Platform, number: usize, length: Duration) -> anyhow::Result<(u32, u32)> {
    let page = platform.page().await?;
    let body = json!({"user_id": format!("chaos-outage-{number}"), "title": "write this down"});
    let (begun, mut asked, mut acknowledged) = (Instant::now(), 0, 0);
    while begun.elapsed() < length {
        asked += 1;
        acknowledged += u32::from(page.post("/api/tasks", &body).await.is_ok_and(|answer| answer.status == 201));
    }
    Ok((asked, acknowledged))
}
