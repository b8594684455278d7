//! `cargo xtask bench mutants`: whether the tests that guard events would notice if the services were made wrong. Each patch
//! in `mutants/` breaks one rule in a copy of the sources, and the tests that it names have to fail by it. `--by-chaos` asks
//! the judge of [`todo_e2e::chaos`] instead, who knows no more than what clients were told and what is stored at the end.

mod by_chaos;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Output,
    time::Instant,
};

use anyhow::Context;
use todo_e2e::{
    cluster::{Cluster, Settings},
    harness::database::Database,
    progress::Progress,
};
use tokio::process::Command;

const ROOT: &str = env!("TODO_PLATFORM_CHECKOUT");
const PATCHES: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/bench/mutants");
/// A database that is there already.
const DATABASE: &str = "TEST_DATABASE_URL";
/// Where builds go, unless it is set.
const TARGET: &str = "CARGO_TARGET_DIR";

/// Which.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only those whose names contain this.
    #[arg(long, default_value = "")]
    filter: String,
    /// By load and faults on a platform of processes of this machine, instead of the services' tests.
    #[arg(long)]
    by_chaos: bool,
    /// With --by-chaos: for the same order of faults again.
    #[arg(long, requires = "by_chaos")]
    seed: Option<u64>,
}

/// A patch.
struct Mutant {
    name: String,
    file: PathBuf,
    /// What is wrong with it.
    what: String,
    /// What `cargo test` is to run.
    check: Vec<String>,
    /// Why only a test can notice it, if so.
    unseen: Option<String>,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let mutants: Vec<_> = read()?.into_iter().filter(|mutant| mutant.name.contains(&arguments.filter)).collect();
    let is_any = !mutants.is_empty() || (arguments.by_chaos && by_chaos::is_without_any(&arguments.filter));
    anyhow::ensure!(is_any, "no mutant has such a name");
    // Apart, as one may be run beside the other.
    let folder = settings.cache().join(if arguments.by_chaos { "mutants-by-chaos" } else { "mutants" });
    copy_sources(&folder).await?;
    if arguments.by_chaos {
        let cluster = Cluster::running(&settings).await?;
        return by_chaos::all(&Copy { folder }, &cluster, &mutants, arguments).await;
    }
    if let Ok(url) = std::env::var(DATABASE) {
        return Laboratory { copy: Copy { folder }, database: url }.all(&mutants).await;
    }
    let cluster = Cluster::running(&settings).await?;
    let database = Database::start(&cluster, &Progress::new(settings.cache())).await?;
    let result = Laboratory { copy: Copy { folder }, database: database.url().to_owned() }.all(&mutants).await;
    database.stop().await?;
    result
}

/// The patches, by name. The first line says what is wrong, the second one which tests have to notice, and a third one why
/// nobody else can.
fn read() -> anyhow::Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for entry in std::fs::read_dir(PATCHES)? {
        let file = entry?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file)?;
        let mut lines = text.lines();
        let what = lines.next().context("an empty patch")?.to_owned();
        let check = lines.next().and_then(|line| line.strip_prefix("Check: ")).context("a patch without a check")?;
        let check = check.split_whitespace().map(ToOwned::to_owned).collect();
        let unseen = lines.next().and_then(|line| line.strip_prefix("Unseen: ")).map(ToOwned::to_owned);
        mutants.push(Mutant { name, file, what, check, unseen });
    }
    mutants.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(mutants)
}

/// Copies what git knows of. What is the same already is left alone, so that cargo does not build it anew.
async fn copy_sources(to: &Path) -> anyhow::Result<()> {
    let list = Command::new("git").args(["ls-files", "-z"]).current_dir(ROOT).output().await?;
    anyhow::ensure!(list.status.success(), "git does not list the sources");
    for name in String::from_utf8(list.stdout)?.split_terminator('\0') {
        let (from, to) = (Path::new(ROOT).join(name), to.join(name));
        // Deleted and not committed yet.
        let Ok(content) = std::fs::read(&from) else { continue };
        if std::fs::read(&to).is_ok_and(|there| there == content) {
            continue;
        }
        std::fs::create_dir_all(to.parent().context("a file at the root")?)?;
        std::fs::write(&to, content)?;
    }
    Ok(())
}

/// Sources that are not anybody's work.
struct Copy {
    folder: PathBuf,
}

impl Copy {
    async fn patch(&self, mutant: &Mutant, how: &[&str]) -> anyhow::Result<()> {
        let mut apply = Command::new("git");
        apply.arg("apply").args(how).arg(&mutant.file).current_dir(&self.folder);
        let output = apply.output().await?;
        let words = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{} does not fit the sources any more: {words}", mutant.name);
        Ok(())
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(&self.folder).env(TARGET, target());
        cargo
    }
}

fn target() -> PathBuf {
    std::env::var_os(TARGET).map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from)
}

/// Where mutants are made and tested.
struct Laboratory {
    copy: Copy,
    database: String,
}

impl Laboratory {
    async fn all(&self, mutants: &[Mutant]) -> anyhow::Result<()> {
        let checks: BTreeSet<&Vec<String>> = mutants.iter().map(|mutant| &mutant.check).collect();
        for check in checks {
            let output = self.test(check, &[]).await?;
            let words = || [&output.stderr, &output.stdout].map(|text| String::from_utf8_lossy(text)).join("\n");
            anyhow::ensure!(output.status.success(), "without a mutant, too, {} fails: {}", check.join(" "), words());
        }
        let (begun, mut missed) = (Instant::now(), 0);
        println!("| mutant | noticed by |\n|---|---|");
        for mutant in mutants {
            self.copy.patch(mutant, &[]).await?;
            let noticed = self.examine(mutant).await;
            self.copy.patch(mutant, &["--reverse"]).await?;
            let noticed = noticed?;
            missed += u32::from(noticed.is_empty());
            let noticed = if noticed.is_empty() { "**nobody**".to_owned() } else { noticed.join(", ") };
            println!("| {} | {noticed} |", mutant.what);
        }
        println!("\n{} mutants in {:.0?}", mutants.len(), begun.elapsed());
        anyhow::ensure!(missed == 0, "{missed} mutants were not noticed");
        Ok(())
    }

    /// The tests that fail.
    async fn examine(&self, mutant: &Mutant) -> anyhow::Result<Vec<String>> {
        let words = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let target: Vec<_> = mutant.check.iter().take_while(|word| *word != "--").cloned().collect();
        let built = self.test(&target, &["--no-run"]).await?;
        anyhow::ensure!(built.status.success(), "{} does not compile: {}", mutant.name, words(&built));
        let output = self.test(&mutant.check, &["--no-fail-fast"]).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
        Ok(failed.map(|name| format!("`{}`", name.rsplit("::").next().unwrap_or(name))).collect())
    }

    async fn test(&self, check: &[String], more: &[&str]) -> anyhow::Result<Output> {
        let mut test = self.copy.cargo(&["test", "--locked"]);
        test.args(more).args(check).env(DATABASE, &self.database).env("RUST_BACKTRACE", "0");
        Ok(test.output().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Copy {
        Copy { folder: ROOT.into() }
    }

    #[tokio::test]
    async fn every_patch_fits_the_sources_as_they_are_and_says_what_is_to_notice_it() {
        let mutants = read().unwrap();
        assert!(!mutants.is_empty());
        for mutant in mutants {
            assert!(!mutant.what.is_empty() && !mutant.check.is_empty(), "{}", mutant.name);
            sources().patch(&mutant, &["--check"]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_patch_of_lines_that_are_not_there_any_more_is_told_by_its_name() {
        let patch = tempfile::NamedTempFile::new().unwrap();
        let lines = "--- a/Cargo.toml\n+++ b/Cargo.toml\n@@ -1 +1 @@\n-[nothing]\n+[everything]\n";
        std::fs::write(patch.path(), lines).unwrap();
        let (name, file) = ("of-yesterday".to_owned(), patch.path().to_owned());
        let mutant = Mutant { name, file, what: String::new(), check: Vec::new(), unseen: None };
        let told = sources().patch(&mutant, &["--check"]).await.unwrap_err().to_string();
        assert!(told.starts_with("of-yesterday does not fit the sources any more"), "{told}");
    }
}
