//! What the processes of a bench take, by `/proc`.

use std::{collections::BTreeMap, fmt, path::Path};

use anyhow::Context;
use procfs::process::{Process, Status, all_processes};

/// Resident memory, in KiB.
pub(super) struct Memory {
    /// What the process has written itself.
    own: u64,
    /// Pages of its program, which the kernel can drop.
    of_files: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, own) = ((self.own + self.of_files) / 1024, self.own / 1024);
        write!(f, "{all} MiB resident, of which {own} MiB are its own and not pages of its program")
    }
}

/// Memory of the operator with this identity.
pub(super) fn memory(identity: &str) -> anyhow::Result<Memory> {
    let operator = |process: &Process| {
        process.cmdline().is_ok_and(|words| {
            words.first().is_some_and(|program| program.ends_with("todo-operator"))
                && words.iter().any(|word| word == identity)
        })
    };
    let process = all_processes()?.flatten().find(operator).context("the operator does not run")?;
    let Status { rssanon, rssfile, .. } = process.status()?;
    Ok(Memory { own: rssanon.context("no RssAnon")?, of_files: rssfile.context("no RssFile")? })
}

/// Time on a processor, in clock ticks, of this process and of those that it started, by the name of the program.
pub(super) struct Processor(BTreeMap<String, u64>);

impl Processor {
    /// What they have taken until now.
    pub(super) fn now() -> anyhow::Result<Self> {
        let own = Process::myself()?;
        let mut all = BTreeMap::from([("bench and its proxy".to_owned(), ticks(&own)?)]);
        for process in all_processes()?.flatten() {
            let Ok(stat) = process.stat() else { continue };
            if stat.ppid == own.pid
                && let Ok(words) = process.cmdline()
                && let Some(program) = words.first().and_then(|word| Path::new(word).file_name())
            {
                *all.entry(program.to_string_lossy().into_owned()).or_default() += stat.utime + stat.stime;
            }
        }
        Ok(Self(all))
    }

    /// What they have taken since then, for each of so many objects.
    pub(super) fn since(before: &Self, objects: usize) -> anyhow::Result<String> {
        let Self(now) = Self::now()?;
        let mut words = Vec::new();
        for (program, ticks) in now {
            let taken = ticks.saturating_sub(before.0.get(&program).copied().unwrap_or_default());
            let each = taken * 1_000_000 / procfs::ticks_per_second() / u64::try_from(objects.max(1))?;
            words.push(format!("{program} {each} µs"));
        }
        Ok(words.join(", "))
    }
}

fn ticks(process: &Process) -> anyhow::Result<u64> {
    let stat = process.stat()?;
    Ok(stat.utime + stat.stime)
}
