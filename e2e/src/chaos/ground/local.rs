//! A platform of processes and two containers on this machine whose parts are broken.

use std::{sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::{sync::Mutex, time::sleep};

use super::Nemesis;
use crate::harness::{LocalPlatform, until};

/// How soon what has ended is started again.
const LOOK: Duration = Duration::from_millis(500);
/// How long a process may take to be there again.
const BACK: Duration = Duration::from_secs(10);
/// These are containers, the rest are processes.
const CONTAINERS: [&str; 2] = ["kafka", "postgres"];
/// Programs of Kafka take some seconds each to start.
const BROKER_LIMIT: Duration = Duration::from_mins(2);

/// Breaks something for a while.
pub(super) async fn strike(nemesis: Nemesis, platform: &Mutex<LocalPlatform>, hold: Duration) -> anyhow::Result<()> {
    let container = async |verb: &str, of: &str| {
        let command = platform.lock().await.container(verb, of, &[])?;
        anyhow::Ok(command.run().await.map(drop)?)
    };
    let what = nemesis.to_string();
    // What is on its way back from the fault before has no process yet.
    let signal = async |name: &str, signal: Signal| {
        until(&what, BACK, async || platform.lock().await.signal(name, signal).map(Some)).await
    };
    match nemesis {
        Nemesis::KillPod(app) if CONTAINERS.contains(&app) => {
            container("kill", app).await?;
            container("start", app).await?;
        }
        Nemesis::KillPod(app) => {
            signal(app, Signal::KILL).await?;
            signal(&sidecar(app), Signal::KILL).await?;
        }
        Nemesis::KillSidecar(app) => signal(&sidecar(app), Signal::KILL).await?,
        Nemesis::Freeze(app, _) if CONTAINERS.contains(&app) => {
            container("pause", app).await?;
            sleep(hold).await;
            container("unpause", app).await?;
        }
        Nemesis::Freeze(app, process) => {
            let name = if process == "daprd" { sidecar(app) } else { app.to_owned() };
            signal(&name, Signal::STOP).await?;
            sleep(hold).await;
            signal(&name, Signal::CONT).await?;
        }
        Nemesis::Restart(app) => signal(app, Signal::TERM).await?,
        Nemesis::Partition(..) | Nemesis::EndSessions | Nemesis::Refuse(..) => {
            anyhow::bail!("this cannot be done to processes: {nemesis}")
        }
    }
    Ok(())
}

/// Does for processes what Kubernetes does for pods, without end.
pub(super) async fn keep_running(platform: &Mutex<LocalPlatform>) -> anyhow::Result<()> {
    loop {
        platform.lock().await.start_ended()?;
        sleep(LOOK).await;
    }
}

/// As in a cluster.
pub(super) async fn in_broker(
    platform: &Arc<Mutex<LocalPlatform>>,
    script: &str,
    arguments: &[&str],
) -> anyhow::Result<String> {
    let command: Vec<&str> = ["sh", "-c", script, "localhost:9092"].iter().chain(arguments).copied().collect();
    let command = platform.lock().await.container("exec", "kafka", &command)?;
    Ok(command.limit(BROKER_LIMIT).run().await?)
}

fn sidecar(app: &str) -> String {
    format!("{app}-daprd")
}
