//! Whether events get lost or take effect twice while parts of a platform are killed, frozen and cut off.
//!
//! Clients write down what they asked for and what they were told ([`history`]); nemeses break things meanwhile
//! ([`nemesis`]); when all is calm again, what the database and the broker hold ([`facts`]) is judged by that
//! ([`verdict`]), and so is whether there was enough to judge by ([`evidence`]). The judge is pure, and has its own tests with
//! histories that must not pass.

pub mod clients;
pub mod evidence;
pub mod facts;
pub mod ground;
pub mod history;
pub mod nemesis;
pub mod outage;
pub mod verdict;
pub mod webhooks;

use std::time::{Duration, Instant};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::harness::{ChannelSink, until};
pub use facts::Facts;
pub use ground::Ground;
pub use history::History;
pub use nemesis::Nemesis;
pub use verdict::Violation;

/// Clients at the same time, each a user of its own.
const CLIENTS: u32 = 3;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What was asked for and answered.
    pub history: History,
    /// What is stored and published.
    pub facts: Facts,
    /// From the end of the last fault until nothing waited, or until that had taken too long.
    pub drained: Duration,
    /// How many faults there were.
    pub faults: usize,
    /// How long all of them took.
    pub lasted: Duration,
}

impl Report {
    /// All that is wrong.
    pub fn violations(&self) -> Vec<Violation> {
        verdict::violations(&self.history, &self.facts)
    }

    /// An error if something did not happen at all, so that nothing was shown of it.
    pub fn is_evidence(&self) -> anyhow::Result<()> {
        let missing = evidence::missing(&self.history, &self.facts);
        anyhow::ensure!(missing.is_empty(), "this run shows too little: never {}", missing.join(", never "));
        Ok(())
    }
}

/// Puts a platform under load, lets every nemesis loose once in each round, in an order that the seed gives, and looks.
/// Users may name the sink for webhooks there.
pub async fn run(ground: &Ground, sink: &ChannelSink, seed: u64, rounds: usize) -> anyhow::Result<Report> {
    tokio::select! {
        report = under_load(ground, sink, seed, rounds) => report,
        result = ground.keep_running() => {
            result?;
            anyhow::bail!("nobody looks after what has ended")
        }
    }
}

async fn under_load(ground: &Ground, sink: &ChannelSink, seed: u64, rounds: usize) -> anyhow::Result<Report> {
    let pace = ground.pace();
    let stop = CancellationToken::new();
    let users: Vec<_> = (0..CLIENTS).map(|number| format!("chaos-{number}")).collect();
    for user in &users {
        webhooks::add(ground, sink, user).await?;
    }
    let clients: Vec<_> =
        users.into_iter().map(|user| tokio::spawn(clients::run(ground.clone(), user, stop.clone()))).collect();
    let (begun, mut outbox) = (Instant::now(), facts::Outbox::begin());
    let result = faults(ground, seed, rounds, &mut outbox).await;
    let lasted = begun.elapsed();
    stop.cancel();
    let mut history = History::default();
    for client in clients {
        history.append(client.await?);
    }
    let faults = result?;
    let (calm, foreign) = (Instant::now(), history.foreign());
    let drained = until("all events are through", pace.drained, async || {
        let waiting = facts::waiting(ground, &foreign).await?;
        anyhow::ensure!(waiting == 0, "{waiting} events wait");
        Ok(Some(()))
    });
    let is_drained = drained.await.is_ok();
    let drained = calm.elapsed();
    let waiting = if is_drained { 0 } else { facts::waiting(ground, &foreign).await? };
    // Nothing waits; what was delivered twice has had its time to do harm.
    sleep(pace.calm).await;
    let facts = Facts { waiting, ..facts::read(ground, sink, outbox).await? };
    Ok(Report { history, facts, drained, faults, lasted })
}

/// Gives how many there were.
async fn faults(ground: &Ground, seed: u64, rounds: usize, outbox: &mut facts::Outbox) -> anyhow::Result<usize> {
    let mut random = StdRng::seed_from_u64(seed);
    let (pace, mut nemeses) = (ground.pace(), ground.nemeses());
    for _ in 0..rounds {
        nemeses.shuffle(&mut random);
        for nemesis in &nemeses {
            sleep(pace.calm).await;
            eprintln!("chaos: {nemesis}");
            nemesis.strike(ground, &pace).await?;
        }
        outbox.look(ground).await?;
    }
    sleep(pace.calm).await;
    Ok(rounds * nemeses.len())
}
