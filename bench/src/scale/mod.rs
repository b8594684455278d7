//! `cargo xtask bench scale`: many platforms with one operator, on a bare API server. What it takes is compared with the same
//! objects applied by a bare client, by the same way and as many at the same time, in the same run.

mod processes;
mod raw;

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, Client, Config, api::DynamicObject, core::ApiResource};
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{Ground, Operator},
    harness::until,
    proxy::Proxy,
};

use self::processes::Processor;
use crate::latency;

/// Requests at the same time, and passes of the operator.
const TOGETHER: usize = 16;
/// Platforms that the bare client makes.
const RAW: usize = 100;
/// The operator's name for itself, by which its process is found.
const OPERATOR: &str = "bench-scale";
/// How long nothing is written when all is settled.
const QUIET: Duration = Duration::from_secs(6);
/// How often it is looked whether that is so.
const GLANCE: Duration = Duration::from_secs(2);
/// How long an operator that was started again is watched for writes.
const WATCHED: Duration = Duration::from_secs(15);
/// Lines of the operator's log that an error shows.
const LINES: usize = 12;
const LIMIT: Duration = Duration::from_mins(20);

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Platforms, each in a namespace of its own.
    #[arg(long, default_value_t = 1000)]
    platforms: usize,
    /// Fields that are changed by somebody else, and specs that are changed.
    #[arg(long, default_value_t = 100)]
    changes: usize,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    let mut proxy = ground.proxy().await?;
    let operator = Operator::start(&mut proxy, ground.folder.path(), None, OPERATOR)?;
    tokio::time::sleep(QUIET).await;
    println!("memory without a platform: {}", processes::memory(OPERATOR)?);

    let sample = namespace(&ground, 0).await?;
    Ground::make_platform(&ground.client, &sample).await?;
    ground.created(&proxy, &sample).await?;
    let objects = raw::objects(&ground, &sample).await?;
    let before = Processor::now()?;
    let namespaces = arguments.platforms.min(RAW);
    let raw = raw::rate(&ground, &objects, namespaces).await?;
    println!("bare client: {} objects in each of {namespaces} namespaces, {raw:.0} objects/s", objects.len());
    println!("  on a processor, for each: {}", Processor::since(&before, objects.len() * namespaces)?);

    let before = Processor::now()?;
    let made = made(&ground, &proxy, arguments.platforms).await?;
    println!(
        "operator: {} platforms, {} objects and {} statuses in {:.1?}: {:.0} objects/s, {:.2} of the bare client",
        arguments.platforms,
        made.objects,
        made.statuses,
        made.took,
        made.rate(),
        made.rate() / raw
    );
    println!("  on a processor, for each: {}", Processor::since(&before, made.objects)?);
    println!("memory with {} platforms: {}", arguments.platforms, processes::memory(OPERATOR)?);

    operator.stop().await?;
    let mut proxy = ground.proxy().await?;
    let operator = restart(&ground, &mut proxy, arguments.platforms).await?;

    let changes = arguments.changes.min(arguments.platforms);
    let says = || format!("the operator says:\n{}", operator.last_words(LINES));
    let namespaces: Vec<_> = (1..=changes).map(name).collect();
    let drift = latency::of_drift(&ground, &namespaces).await.with_context(says)?;
    println!("drift, until repaired: {drift}");
    let change = latency::of_changes(&ground, &namespaces, latency::OTHER).await.with_context(says)?;
    println!("a change of one number in a spec, until its Deployment has it: {change}");
    Ok(())
}

/// What the operator made, and how long it took.
struct Made {
    objects: usize,
    statuses: usize,
    took: Duration,
}

impl Made {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 objects")]
    fn rate(&self) -> f64 {
        self.objects as f64 / self.took.as_secs_f64()
    }
}

async fn made(ground: &Ground, proxy: &Proxy, platforms: usize) -> anyhow::Result<Made> {
    let numbers: Vec<usize> = (1..=platforms).collect();
    let namespaces: Vec<String> =
        stream::iter(numbers).map(|number| namespace(ground, number)).buffered(TOGETHER).try_collect().await?;
    let client = through(proxy)?;
    let begun = Instant::now();
    let create = stream::iter(&namespaces).map(|name| Ground::make_platform(&client, name));
    create.buffer_unordered(TOGETHER).try_collect::<Vec<()>>().await?;
    let all = platforms_of(&ground.client);
    until("every platform has a status, and nothing is written any more", LIMIT, || async {
        // Whoever asks all the time takes time from the API server and the proxy, and that would be the operator's.
        tokio::time::sleep(GLANCE).await;
        if proxy.ledger().quiet_for() <= QUIET {
            return Ok(None);
        }
        let list = all.list(&kube::api::ListParams::default()).await?;
        let told = list.iter().filter(|one| one.data["status"]["observedGeneration"].is_i64()).count();
        anyhow::ensure!(told > platforms, "{told} of {platforms} platforms have a status");
        Ok(Some(()))
    })
    .await?;
    let ledger = proxy.ledger().since(begun);
    // The client's own, too: creation of a platform and of the Secret that it names.
    let own = platforms * 2;
    let (statuses, objects): (Vec<_>, Vec<_>) = ledger.work().partition(|entry| entry.target.subresource == "status");
    let last = ledger.work().map(|entry| entry.at).max().context("nothing was written")?;
    Ok(Made { objects: objects.len().saturating_sub(own), statuses: statuses.len(), took: last - begun })
}

/// How long an operator takes that is started again where nothing is to be done, until it has looked at every platform.
async fn restart(ground: &Ground, proxy: &mut Proxy, platforms: usize) -> anyhow::Result<Operator> {
    let (begun, before) = (Instant::now(), Processor::now()?);
    let operator = Operator::start(proxy, ground.folder.path(), None, OPERATOR)?;
    let looked = until("every platform has been looked at", LIMIT, async || {
        let ledger = proxy.ledger();
        let read = ledger.all().filter(|entry| entry.target.resource == "secrets");
        let namespaces: std::collections::BTreeSet<_> = read.map(|entry| entry.target.namespace.clone()).collect();
        Ok((namespaces.len() > platforms).then_some(begun.elapsed()))
    })
    .await?;
    let taken = Processor::since(&before, platforms)?;
    tokio::time::sleep(WATCHED).await;
    let writes = proxy.ledger().work().count();
    println!("started again: every platform looked at after {looked:.1?}, {writes} writes within {WATCHED:?} after it");
    println!("  on a processor until then, for each platform: {taken}");
    Ok(operator)
}

async fn namespace(ground: &Ground, number: usize) -> anyhow::Result<String> {
    let name = name(number);
    ground.plane.namespace(&name).await?;
    Ok(name)
}

fn name(number: usize) -> String {
    format!("scale-{number:04}")
}

fn platforms_of(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::erase::<TodoPlatform>(&()))
}

/// A client that goes the operator's way.
fn through(proxy: &Proxy) -> anyhow::Result<Client> {
    Ok(Client::try_from(Config::new(proxy.url().parse()?))?)
}
