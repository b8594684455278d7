//! Whether the judge of chaos notices: the services of a mutant are built and run with real sidecars, broker and database,
//! under the load and the faults that a right platform goes through.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use todo_e2e::{chaos::Violation, cluster::Cluster};

use super::{Arguments, Copy, Mutant, target};
use crate::chaos;

/// What runs without a patch, for `--filter`.
const UNCHANGED: &str = "unchanged";
/// What has to do with events; the page passes on what others say, and is built once.
const SERVICES: [&str; 3] = ["todo-backend", "todo-notification", "todo-recurring-task"];
const PAGE: &str = "todo-frontend";

pub(super) async fn all(
    copy: &Copy,
    cluster: &Cluster,
    mutants: &[Mutant],
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    build(copy, &[PAGE]).await?;
    println!("Faults, seed {seed}:\n| mutant | what the judge said | seconds | of the build |\n|---|---|---|---|");
    if UNCHANGED.contains(&arguments.filter) {
        let judged = Judged::of(copy, cluster, seed).await?;
        println!("| none | {judged}");
        let all: Vec<_> = judged.violations.iter().map(ToString::to_string).collect();
        anyhow::ensure!(all.is_empty(), "without a mutant, too, there are violations: {}", all.join("; "));
    }
    let mut missed = 0;
    for mutant in mutants {
        if let Some(why) = &mutant.unseen {
            println!("| {} | not asked: {why} | | |", mutant.what);
            continue;
        }
        copy.patch(mutant, &[]).await?;
        let judged = Judged::of(copy, cluster, seed).await;
        copy.patch(mutant, &["--reverse"]).await?;
        missed += u32::from(!judged.as_ref().is_ok_and(Judged::is_noticed));
        match judged {
            Ok(judged) => println!("| {} | {judged}", mutant.what),
            // The others are worth a run all the same.
            Err(error) => println!("| {} | **no run**: {error:#} | | |", mutant.what),
        }
    }
    anyhow::ensure!(missed == 0, "{missed} mutants were not noticed");
    Ok(())
}

/// What came of a run.
struct Judged {
    violations: Vec<Violation>,
    /// How long it took with its start.
    lasted: Duration,
    /// How long the services took to build.
    built: Duration,
}

impl Judged {
    async fn of(copy: &Copy, cluster: &Cluster, seed: u64) -> anyhow::Result<Self> {
        let begun = Instant::now();
        build(copy, &SERVICES).await?;
        let built = begun.elapsed();
        let report = chaos::local(cluster, Some(&target().join("debug")), seed, 1).await?;
        Ok(Self { violations: report.violations(), lasted: begun.elapsed().saturating_sub(built), built })
    }

    /// That something came late is not enough: a slow machine is reason enough for it.
    fn is_noticed(&self) -> bool {
        self.violations.iter().any(|violation| !matches!(violation, Violation::Waiting(_)))
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {} |", in_short(&self.violations), self.lasted.as_secs(), self.built.as_secs())
    }
}

/// Without debug information, which takes longer to write than the code.
async fn build(copy: &Copy, packages: &[&str]) -> anyhow::Result<()> {
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let mut build = copy.cargo(&["build", "--locked", "--quiet"]);
    let built = build.args(packages).env("CARGO_PROFILE_DEV_DEBUG", "0").status().await?;
    anyhow::ensure!(built.success(), "the services do not compile");
    Ok(())
}

fn in_short(violations: &[Violation]) -> String {
    if violations.is_empty() {
        return "**nothing**".to_owned();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for violation in violations {
        *counts.entry(violation.kind()).or_default() += 1;
    }
    counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}
