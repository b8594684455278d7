//! Whether events get lost or take effect twice while parts of a platform are killed, frozen and cut off.
//!
//! Clients write down what they asked for and what they were told ([`history`]); nemeses break things meanwhile
//! ([`nemesis`]); when all is calm again, what the database and the broker hold ([`facts`]) is judged by that
//! ([`verdict`]). The judge is pure, and has its own tests with histories that must not pass.

pub mod clients;
pub mod facts;
pub mod history;
pub mod nemesis;
pub mod verdict;

use std::time::{Duration, Instant};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::harness::{Platform, until};
pub use facts::Facts;
pub use history::History;
pub use nemesis::Nemesis;
pub use verdict::Violation;

/// Clients at the same time, each a user of its own.
const CLIENTS: u32 = 3;
/// Between the end of one fault and the beginning of the next.
const CALM: Duration = Duration::from_secs(8);
/// How long everything may take to get through after the last fault.
const DRAINED: Duration = Duration::from_mins(3);

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What was asked for and answered.
    pub history: History,
    /// What is stored and published.
    pub facts: Facts,
    /// From the end of the last fault until nothing waited.
    pub drained: Duration,
}

impl Report {
    /// All that is wrong.
    pub fn violations(&self) -> Vec<Violation> {
        verdict::violations(&self.history, &self.facts)
    }
}

/// Puts a platform under load, lets every nemesis loose once in each round, in an order that the seed gives, and looks.
pub async fn run(platform: &Platform, seed: u64, rounds: usize) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let stop = CancellationToken::new();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(clients::run(platform.clone(), format!("chaos-{number}"), stop.clone())))
        .collect();
    let faults = async {
        for _ in 0..rounds {
            let mut nemeses = Nemesis::ALL.to_vec();
            nemeses.shuffle(&mut random);
            for nemesis in nemeses {
                sleep(CALM).await;
                eprintln!("chaos: {nemesis}");
                nemesis.strike(&platform.namespace).await?;
            }
        }
        sleep(CALM).await;
        anyhow::Ok(())
    };
    let result = faults.await;
    stop.cancel();
    let mut history = History::default();
    for client in clients {
        history.append(client.await?);
    }
    result?;
    let calm = Instant::now();
    until("all events are through", DRAINED, async || {
        let waiting = facts::waiting(platform).await?;
        anyhow::ensure!(waiting == 0, "{waiting} events wait");
        Ok(Some(()))
    })
    .await?;
    let drained = calm.elapsed();
    // Nothing waits; what was delivered twice has had its time to do harm.
    sleep(CALM).await;
    Ok(Report { history, facts: facts::read(platform).await?, drained })
}
