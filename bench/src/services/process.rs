//! What a process costs, from `/proc`.

use anyhow::Context;
use procfs::process::Process;

/// Memory that a process has in use, in MiB.
pub(super) struct Memory {
    pub(super) now: f64,
    /// The most since it began.
    pub(super) most: f64,
}

/// What it has in use.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 KiB")]
pub(super) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = of(pid)?.status()?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok(Memory { now: mib(status.vmrss.context("no VmRSS")?), most: mib(status.vmhwm.context("no VmHWM")?) })
}

/// CPU time that it has used, in seconds.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 ticks")]
pub(super) fn cpu(pid: u32) -> anyhow::Result<f64> {
    let stat = of(pid)?.stat()?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

fn of(pid: u32) -> anyhow::Result<Process> {
    Ok(Process::new(pid.try_into()?)?)
}
