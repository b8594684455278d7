//! What a process costs, from `/proc`.

use anyhow::Context;
use procfs::process::Process;

/// Memory that it has in use, in MiB.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 KiB")]
pub(super) fn memory(pid: u32) -> anyhow::Result<f64> {
    let kib = of(pid)?.status()?.vmrss.context("no VmRSS")?;
    Ok(kib as f64 / 1024.0)
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
