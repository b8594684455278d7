//! How much memory a process has.

use std::fmt;

use anyhow::Context;

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

/// Of the operator with this identity, by `/proc`.
pub(super) fn of(identity: &str) -> anyhow::Result<Memory> {
    for entry in std::fs::read_dir("/proc")? {
        let folder = entry?.path();
        let Ok(line) = std::fs::read_to_string(folder.join("cmdline")) else { continue };
        let words: Vec<&str> = line.split('\0').collect();
        if words.first().is_some_and(|program| program.ends_with("todo-operator")) && words.contains(&identity) {
            let status = std::fs::read_to_string(folder.join("status"))?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.split_whitespace().next()?.parse().ok()).with_context(|| format!("no {name}"))
            };
            return Ok(Memory { own: field("RssAnon:")?, of_files: field("RssFile:")? });
        }
    }
    anyhow::bail!("the operator does not run")
}
