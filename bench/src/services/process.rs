//! What a process costs, from `/proc`.

use anyhow::Context;

/// Ticks of the clock in which Linux counts CPU time; the same on every architecture (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory that it has in use, in MiB.
pub(super) fn memory(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// CPU time that it has used, in seconds.
pub(super) fn cpu(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may have spaces, and ends with the last parenthesis.
    let fields = stat.rsplit_once(')').context("no name")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS_PER_SECOND)
}
