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

/// Whether the services as they are go by this filter, too.
pub(super) fn is_without_any(filter: &str) -> bool {
    UNCHANGED.contains(filter)
}

/// All together, as what they depend on is built for all of them alike.
const SERVICES: [&str; 4] = ["todo-backend", "todo-notification", "todo-recurring-task", "todo-frontend"];

/// Of two mutants, one runs while the other is built.
pub(super) async fn all(
    copy: &Copy,
    cluster: &Cluster,
    mutants: &[Mutant],
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let (hidden, visible): (Vec<_>, Vec<_>) = mutants.iter().partition(|mutant| mutant.unseen.is_some());
    let without = is_without_any(&arguments.filter).then_some(None);
    let mut order = without.into_iter().chain(visible.into_iter().map(Some));
    println!("Faults, seed {seed}:\n| mutant | what the judge said | seconds | of the build |\n|---|---|---|---|");
    for mutant in hidden {
        println!("| {} | not asked: {} | | |", mutant.what, mutant.unseen.as_deref().unwrap_or_default());
    }
    let mut missed = 0;
    let mut next = Built::next(copy, &mut order).await?;
    while let Some(built) = next {
        let (judged, after) = tokio::join!(built.judge(cluster, seed), Built::next(copy, &mut order));
        next = after?;
        let what = built.mutant.map_or("none", |mutant| &mutant.what);
        let is_noticed = judged.as_ref().is_ok_and(Judged::is_noticed);
        match &judged {
            Ok(judged) => println!("| {what} | {judged} | {} |", built.lasted.as_secs()),
            // The others are worth a run all the same.
            Err(error) => println!("| {what} | **no run**: {error:#} | | |"),
        }
        if built.mutant.is_some() {
            missed += u32::from(!is_noticed);
        } else {
            let all: Vec<_> = judged?.violations.iter().map(ToString::to_string).collect();
            anyhow::ensure!(all.is_empty(), "without a mutant, too, there are violations: {}", all.join("; "));
        }
    }
    anyhow::ensure!(missed == 0, "{missed} mutants were not noticed");
    Ok(())
}

/// Programs of a mutant, or of the services as they are.
struct Built<'a> {
    mutant: Option<&'a Mutant>,
    programs: tempfile::TempDir,
    lasted: Duration,
}

impl<'a> Built<'a> {
    async fn next(copy: &Copy, order: &mut impl Iterator<Item = Option<&'a Mutant>>) -> anyhow::Result<Option<Self>> {
        match order.next() {
            Some(mutant) => Self::of(copy, mutant).await.map(Some),
            None => Ok(None),
        }
    }

    async fn of(copy: &Copy, mutant: Option<&'a Mutant>) -> anyhow::Result<Self> {
        let begun = Instant::now();
        if let Some(mutant) = mutant {
            copy.patch(mutant, &[]).await?;
        }
        let built = build(copy).await;
        if let Some(mutant) = mutant {
            copy.patch(mutant, &["--reverse"]).await?;
        }
        built?;
        // Those of the next one take their place.
        let programs = tempfile::tempdir()?;
        for name in SERVICES {
            std::fs::copy(target().join("debug").join(name), programs.path().join(name))?;
        }
        Ok(Self { mutant, programs, lasted: begun.elapsed() })
    }

    async fn judge(&self, cluster: &Cluster, seed: u64) -> anyhow::Result<Judged> {
        let begun = Instant::now();
        let report = chaos::local(cluster, Some(self.programs.path()), seed, 1).await?;
        Ok(Judged { violations: report.violations(), lasted: begun.elapsed() })
    }
}

/// What came of a run.
struct Judged {
    violations: Vec<Violation>,
    /// How long it took with its start.
    lasted: Duration,
}

impl Judged {
    /// That something came late is not enough: a slow machine is reason enough for it.
    fn is_noticed(&self) -> bool {
        self.violations.iter().any(|violation| !matches!(violation, Violation::Waiting(_)))
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", in_short(&self.violations), self.lasted.as_secs())
    }
}

/// Without debug information, which takes longer to write than the code.
async fn build(copy: &Copy) -> anyhow::Result<()> {
    let packages = SERVICES.iter().flat_map(|package| ["--package", package]);
    let mut cargo = copy.cargo(&["build", "--locked", "--quiet"]);
    let status = cargo.args(packages).env("CARGO_PROFILE_DEV_DEBUG", "0").status().await?;
    anyhow::ensure!(status.success(), "the services do not compile");
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
