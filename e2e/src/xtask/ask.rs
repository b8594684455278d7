//! Questions to the person at the terminal.

use std::io::{BufRead, IsTerminal, Write};

/// Whether the person says yes; `yes` says it for them. Where nobody can answer, that is an error which says what to do.
pub(super) fn agrees(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        eprintln!("{question} yes (--yes)");
        return Ok(true);
    }
    let input = std::io::stdin();
    anyhow::ensure!(input.is_terminal(), "{question} Nobody is here to answer: say --yes if that is fine");
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}
