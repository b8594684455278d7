//! Trees and marks, as the commands that look at a cluster print them; in colours on a terminal only.

use std::{env, fmt, io, io::IsTerminal};

use clap::builder::styling::AnsiColor;

/// A line with others below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    line: String,
    children: Vec<Self>,
}

impl Tree {
    /// A line with these below it.
    pub(super) fn new(line: impl Into<String>, children: Vec<Self>) -> Self {
        Self { line: line.into(), children }
    }

    /// A line with nothing below it.
    pub(super) fn leaf(line: impl Into<String>) -> Self {
        Self::new(line, Vec::new())
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        for (index, child) in self.children.iter().enumerate() {
            let (branch, below) =
                if index + 1 == self.children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            write!(f, "{indent}{branch}")?;
            child.write(f, &format!("{indent}{below}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it should be.
    Good,
    /// Not known yet, under way, or to be thought about.
    Unsure,
    /// Not as it should be.
    Bad,
}

/// Gives marks and words their colours, or does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    colours: bool,
}

impl Paint {
    /// Without colours.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { colours: false };

    /// With colours if the output is a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(super) fn for_output() -> Self {
        Self { colours: io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) }
    }

    /// A mark as one character.
    pub(super) fn mark(self, mark: Mark) -> String {
        match mark {
            Mark::Good => self.paint(AnsiColor::Green, "✔"),
            Mark::Unsure => self.paint(AnsiColor::Yellow, "!"),
            Mark::Bad => self.paint(AnsiColor::Red, "✘"),
        }
    }

    /// A text in a colour.
    pub(super) fn paint(self, colour: AnsiColor, text: &str) -> String {
        let style = colour.on_default();
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_show_what_is_below_what() {
        let tree = Tree::new("a", vec![Tree::new("b", vec![Tree::leaf("c")]), Tree::new("d", vec![Tree::leaf("e")])]);
        assert_eq!(tree.to_string(), "a\n├─ b\n│  └─ c\n└─ d\n   └─ e\n");
    }

    #[test]
    fn colours_are_there_only_when_asked_for() {
        assert_eq!(Paint::PLAIN.mark(Mark::Good), "✔");
        assert_eq!(Paint { colours: true }.mark(Mark::Bad), "\u{1b}[31m✘\u{1b}[0m");
    }
}
