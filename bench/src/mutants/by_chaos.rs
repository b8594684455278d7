//! Whether the judge of chaos notices: the services of a mutant are built and run with real sidecars, broker and database,
//! under the load and the faults that a right platform goes through.

use std::{collections::BTreeMap, time::Instant};

use todo_e2e::{chaos::Violation, cluster::Cluster};

use super::{Arguments, Copy, Mutant, target};
use crate::chaos;

/// What runs without a patch, for `--filter`.
const UNCHANGED: &str = "unchanged";
const SERVICES: [&str; 4] = ["todo-backend", "todo-notification", "todo-recurring-task", "todo-frontend"];

pub(super) async fn all(
    copy: &Copy,
    cluster: &Cluster,
    mutants: &[Mutant],
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("Faults, seed {seed}:\n| mutant | what the judge said | seconds |\n|---|---|---|");
    if UNCHANGED.contains(&arguments.filter) {
        let (violations, seconds) = judged(copy, cluster, seed).await?;
        println!("| none | {} | {seconds} |", in_short(&violations));
        let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
        anyhow::ensure!(all.is_empty(), "without a mutant, too, there are violations: {}", all.join("; "));
    }
    let mut missed = 0;
    for mutant in mutants {
        if let Some(why) = &mutant.unseen {
            println!("| {} | not asked: {why} | |", mutant.what);
            continue;
        }
        copy.patch(mutant, &[]).await?;
        let judged = judged(copy, cluster, seed).await;
        copy.patch(mutant, &["--reverse"]).await?;
        let (violations, seconds) = judged?;
        missed += u32::from(violations.is_empty());
        println!("| {} | {} | {seconds} |", mutant.what, in_short(&violations));
    }
    anyhow::ensure!(missed == 0, "{missed} mutants were not noticed");
    Ok(())
}

/// What is wrong, and the seconds that it took to find out, without the build.
async fn judged(copy: &Copy, cluster: &Cluster, seed: u64) -> anyhow::Result<(Vec<Violation>, u64)> {
    let packages = SERVICES.iter().flat_map(|service| ["--package", service]);
    let built = copy.cargo(&["build", "--locked", "--quiet"]).args(packages).status().await?;
    anyhow::ensure!(built.success(), "the services do not compile");
    let begun = Instant::now();
    let report = chaos::local(cluster, Some(&target().join("debug")), seed, 1).await?;
    Ok((report.violations(), begun.elapsed().as_secs()))
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
