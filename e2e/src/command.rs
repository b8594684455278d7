//! Child processes with a limit on their time, a log, and errors that say what happened.
//!
//! The environment is mostly made by calling other programs. When one fails, its name and exit code are of little use:
//! the error carries the command as one could type it, the last lines that it wrote, and where all of it was kept.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::Child,
    sync::Mutex,
    time::timeout,
};

use crate::progress::Tail;

/// How many lines of a failed command's output its error shows.
const LINES_IN_ERROR: usize = 15;

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started, most often because it is not installed.
    #[error("could not start `{command}`: {source}")]
    Start {
        /// The command as one would type it.
        command: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The program ran longer than it may.
    #[error("`{command}` was ended after {}s without a result; its last output:\n{tail}{}", limit.as_secs(), kept(log.as_deref()))]
    Limit {
        /// The command as one would type it.
        command: String,
        /// How long it was given.
        limit: Duration,
        /// Last lines of its output.
        tail: String,
        /// Where all of its output is.
        log: Option<PathBuf>,
    },
    /// The program said that it failed.
    #[error("`{command}` failed ({status}):\n{tail}{}", kept(log.as_deref()))]
    Failed {
        /// The command as one would type it.
        command: String,
        /// Exit code or signal.
        status: std::process::ExitStatus,
        /// Last lines of its output.
        tail: String,
        /// Where all of its output is.
        log: Option<PathBuf>,
    },
    /// Reading its output or writing its input or log failed.
    #[error("lost touch with `{command}`: {source}")]
    Io {
        /// The command as one would type it.
        command: String,
        /// What the operating system says.
        source: std::io::Error,
    },
}

fn kept(log: Option<&Path>) -> String {
    log.map(|path| format!("\n(all of its output: {})", path.display())).unwrap_or_default()
}

/// A command to be run once.
#[derive(Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Option<Vec<u8>>,
    limit: Duration,
    log: Option<PathBuf>,
    tail: Option<Tail>,
}

impl Command {
    /// A command without arguments, given a minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            input: None,
            limit: Duration::from_mins(1),
            log: None,
            tail: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment; all others are inherited.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the folder that it runs in.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Gives it this as its standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Sets how long it may take before it is killed.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Writes all of its output to this file, too, adding to what is there.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Shows its last line of output in the heartbeat of a step of the progress.
    #[must_use]
    pub fn tail(mut self, tail: &Tail) -> Self {
        self.tail = Some(tail.clone());
        self
    }

    /// Runs it and returns what it wrote to its standard output, without the last line's end. Any exit code but 0 is an
    /// error.
    pub async fn run(self) -> Result<String, Error> {
        let (command, log) = (self.to_string(), self.log.clone());
        let Ended { output, status, tail } = self.end().await?;
        if status.success() { Ok(output) } else { Err(Error::Failed { command, status, tail, log }) }
    }

    /// Runs it and returns what it wrote to its standard output, whatever its exit code: for a program whose code depends
    /// on something that is of no interest here.
    pub async fn output(self) -> Result<String, Error> {
        Ok(self.end().await?.output)
    }

    /// Runs it and returns how it ended, whatever its exit code.
    pub async fn end(mut self) -> Result<Ended, Error> {
        let command = self.to_string();
        let io = |source| Error::Io { command: command.clone(), source };
        let mut child = self.spawn().map_err(|source| Error::Start { command: command.clone(), source })?;
        let record = Arc::new(Mutex::new(Record::open(self.log.as_deref(), self.tail.take()).await.map_err(io)?));

        let input = self.input.take();
        let work = async {
            let stdin = child.stdin.take();
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let feed = async {
                if let (Some(mut stdin), Some(input)) = (stdin, input) {
                    // A program that ends before it has read everything is judged by its exit code.
                    let _ = stdin.write_all(&input).await;
                }
                Ok(())
            };
            let (out, _, ()) = tokio::try_join!(read(out, &record), read(err, &record), feed)?;
            Ok::<_, std::io::Error>((out, child.wait().await?))
        };
        let finished = timeout(self.limit, work).await;
        let tail = record.lock().await.tail();
        match finished {
            Err(_) => {
                // It is killed on drop as well; waiting here keeps it from outliving the error.
                let _ = child.kill().await;
                Err(Error::Limit { command, limit: self.limit, tail, log: self.log })
            }
            Ok(Err(source)) => Err(io(source)),
            Ok(Ok((out, status))) => Ok(Ended { output: out.trim_end().to_owned(), status, tail }),
        }
    }

    /// Runs it and says whether it ended well; what it wrote is of no interest.
    pub async fn succeeds(self) -> bool {
        self.run().await.is_ok()
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        for name in of_own_package() {
            command.env_remove(name);
        }
        command.spawn()
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.to_string_lossy())?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// Variables by which `cargo run` told this program of its own package. Build scripts begun from here would take them for
/// a change, as they name this checkout, and most dependencies would be compiled anew for each checkout.
pub fn of_own_package() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)))
}

/// A program that has ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// What it wrote to its standard output, without the last line's end.
    pub output: String,
    /// Its exit code, or the signal that ended it.
    pub status: std::process::ExitStatus,
    /// The last lines of all its output.
    pub tail: String,
}

/// What becomes of a command's output besides being returned.
struct Record {
    last: VecDeque<String>,
    log: Option<tokio::fs::File>,
    tail: Option<Tail>,
}

impl Record {
    async fn open(log: Option<&Path>, tail: Option<Tail>) -> std::io::Result<Self> {
        let log = match log {
            Some(path) => {
                if let Some(folder) = path.parent() {
                    tokio::fs::create_dir_all(folder).await?;
                }
                Some(tokio::fs::OpenOptions::new().create(true).append(true).open(path).await?)
            }
            None => None,
        };
        Ok(Self { last: VecDeque::new(), log, tail })
    }

    async fn line(&mut self, line: &str) -> std::io::Result<()> {
        if let Some(log) = &mut self.log {
            log.write_all(line.as_bytes()).await?;
            log.write_all(b"\n").await?;
        }
        if line.trim().is_empty() {
            return Ok(());
        }
        if let Some(tail) = &self.tail {
            tail.set(line);
        }
        if self.last.len() == LINES_IN_ERROR {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
        Ok(())
    }

    fn tail(&self) -> String {
        self.last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, record: &Mutex<Record>) -> std::io::Result<String> {
    let mut all = String::new();
    let Some(pipe) = pipe else { return Ok(all) };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).await? > 0 {
        let text = String::from_utf8_lossy(&line);
        record.lock().await.line(text.trim_end_matches(['\n', '\r'])).await?;
        all.push_str(&text);
        line.clear();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_output_of_a_command_that_ends_well_is_returned() {
        let text = Command::new("sh").args(["-c", "cat; echo noise >&2"]).input("one\ntwo\n").run().await.unwrap();
        assert_eq!(text, "one\ntwo");
    }

    #[tokio::test]
    async fn a_failure_shows_the_command_its_code_and_its_last_words() {
        let error = Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]).run().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("no such thing"), "{text}");
    }

    #[tokio::test]
    async fn all_of_the_output_is_there_whatever_the_exit_code() {
        let text = Command::new("sh").args(["-c", "seq 100; exit 3"]).output().await.unwrap();
        assert!(text.starts_with("1\n2\n") && text.ends_with("100"), "{text}");
    }

    #[tokio::test]
    async fn a_program_is_not_told_of_the_package_of_the_one_that_starts_it() {
        assert!(of_own_package().any(|name| name == "CARGO_MANIFEST_DIR"), "cargo tells tests of their package");
        let text = Command::new("env").run().await.unwrap();
        assert!(!text.contains("CARGO_MANIFEST_DIR=") && !text.contains("CARGO_PKG_NAME="), "{text}");
        assert!(text.contains("PATH="), "{text}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_at_its_limit() {
        let command = Command::new("sleep").arg("600").limit(Duration::from_millis(50));
        assert!(matches!(command.run().await, Err(Error::Limit { .. })));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Command::new("no-such-program").run().await.unwrap_err();
        assert!(error.to_string().contains("no-such-program"));
    }
}
