//! An end that somebody asks for: what a bench has started goes with it.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

/// The result of `work`, or an error as soon as this process is to end: processes and containers go when what holds them is
/// dropped.
pub(crate) async fn unless_ended<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}
