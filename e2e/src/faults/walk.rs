//! The life of one platform, with something that goes wrong, compared step by step with one in which nothing does.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context;
use kube::Client;

use super::{
    Action, Cell, Course, Kinds, Life, Operator, Options, Plan, SETTLED, Snapshot,
    cells::Stage,
    rollouts::{Counts, Rollouts},
};
use crate::{
    harness::until,
    proxy::{Fault, Proxy, Target},
};

/// How long nothing is written when a step without faults is over: longer than a pass and than the age of a read Secret.
const UNDISTURBED_QUIET: Duration = Duration::from_secs(14);
/// How long nothing is written before it is worth a look.
const QUIET: Duration = Duration::from_millis(500);
/// How long it stays as it should.
const STAYS: Duration = Duration::from_secs(3);
/// How long a stream is frozen.
const FROZEN: Duration = Duration::from_secs(6);
/// How often everything is listed anew, in seconds: events that the proxy drops are made up for by that alone.
const RELIST: u32 = 10;
/// Lines of a comparison, a ledger or a log that an error shows.
const LINES: usize = 12;

/// Lives in a namespace of its own.
pub struct Walk<'a> {
    /// With all rights.
    pub client: &'a Client,
    /// What is compared.
    pub kinds: &'a Kinds,
    /// For the operator's files.
    pub folder: &'a Path,
    /// The namespace, which exists.
    pub namespace: String,
    /// Of what kind.
    pub life: Life,
}

/// What became of a walk.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// Faults that happened.
    pub happened: Vec<Cell>,
    /// What was wrong, each with its action and faults.
    pub wrong: Vec<String>,
}

impl Walk<'_> {
    /// Does what a person does.
    pub async fn perform(&self, action: Action) -> anyhow::Result<()> {
        action.perform_in(self.life, self.client, &self.namespace).await
    }

    /// Goes through these actions with nothing wrong, and notes what happens.
    pub async fn undisturbed(&self, actions: &[Action]) -> anyhow::Result<Course> {
        let mut proxy = Proxy::start(self.client.clone()).await?;
        let operator = self.operator(&mut proxy)?;
        let rollouts = Rollouts::watch(self.client, &self.namespace);
        let mut course = Course::default();
        for &action in actions {
            let (begun, replaced) = (std::time::Instant::now(), rollouts.counts());
            self.perform(action).await?;
            let what = format!("{action:?} is over");
            let settled = until(&what, SETTLED, || async {
                let ledger = proxy.ledger();
                let has_begun = action == Action::Delete || ledger.since(begun).work().next().is_some();
                if !has_begun || begun.elapsed().min(ledger.quiet_for()) < UNDISTURBED_QUIET {
                    return Ok(None);
                }
                Ok(Some(Snapshot::take(self.client, self.kinds, &self.namespace).await?))
            });
            let end = settled.await.with_context(|| operator.last_words(LINES))?;
            let without_namespace = |target: &Target| Target { namespace: String::new(), ..target.clone() };
            let mut writes = BTreeMap::<Target, usize>::new();
            for entry in proxy.ledger().since(begun).work() {
                *writes.entry(without_namespace(&entry.target)).or_default() += 1;
            }
            course.stages.insert(action, Stage { writes, end, rollouts: rollouts.since(&replaced) });
        }
        Ok(course)
    }

    /// Goes through all actions with what `plan` says wrong, and compares each end with that of `course`.
    pub async fn disturbed(&self, plan: &Plan, course: &Course) -> anyhow::Result<Walked> {
        let mut proxy = Proxy::start(self.client.clone()).await?;
        let operator = self.operator(&mut proxy)?;
        let rollouts = Rollouts::watch(self.client, &self.namespace);
        let mut walked = Walked::default();
        let mut before = Snapshot::default();
        for (action, stage) in &course.stages {
            let cells: Vec<&Cell> = plan.iter().filter(|cell| cell.action == *action).collect();
            proxy.set(cells.iter().map(|cell| cell.rule(&self.namespace)).collect());
            let (begun, replaced) = (std::time::Instant::now(), rollouts.counts());
            self.perform(*action).await?;
            let step = async {
                if cells.iter().any(|cell| cell.fault == Fault::Freeze) {
                    tokio::time::sleep(FROZEN).await;
                    proxy.lift(Fault::Freeze);
                }
                replaced_as_in(stage, &rollouts, &replaced).await?;
                let end = self.step(*action, &cells, stage, &before, &proxy, begun).await?;
                is_not_more(&rollouts.since(&replaced), &stage.rollouts).context("pods are replaced without need")?;
                anyhow::Ok(end)
            };
            let step = step.await;
            walked.happened.extend(cells.iter().filter(|cell| has_happened(cell, &proxy)).map(|cell| (*cell).clone()));
            match step {
                Ok(end) => before = end,
                Err(error) => {
                    let cells: Vec<_> = cells.iter().map(ToString::to_string).collect();
                    walked.wrong.push(format!(
                        "{} in {}: {error:#}\nthe operator, started anew {} times, says:\n{}",
                        cells.join(" + "),
                        self.namespace,
                        operator.restarts(),
                        operator.last_words(LINES)
                    ));
                    // Later steps would only show the same.
                    break;
                }
            }
        }
        Ok(walked)
    }

    fn operator(&self, proxy: &mut Proxy) -> anyhow::Result<Operator> {
        let options = Options { relist: Some(RELIST), ..Options::default() };
        Operator::start_with(proxy, self.folder, Some(&self.namespace), "operator", options)
    }

    async fn step(
        &self,
        action: Action,
        cells: &[&Cell],
        stage: &Stage,
        before: &Snapshot,
        proxy: &Proxy,
        begun: std::time::Instant,
    ) -> anyhow::Result<Snapshot> {
        self.reaches_end(stage, proxy).await?;
        tokio::time::sleep(STAYS).await;
        let end = self.reaches_end(stage, proxy).await.context("it did not stay so")?;
        for cell in cells.iter().filter(|cell| cell.is_sure()) {
            anyhow::ensure!(has_happened(cell, proxy), "{cell} never came");
        }
        let anew = end.made_anew(before);
        anyhow::ensure!(anew.is_empty(), "made anew without need: {}", anew.join(" "));
        let ledger = proxy.ledger().since(begun);
        let needless = ledger.work().map(|entry| &entry.target).find(|target| {
            let target = Target { namespace: String::new(), ..(*target).clone() };
            target.verb == "delete" && !stage.writes.contains_key(&target)
        });
        anyhow::ensure!(
            needless.is_none(),
            "{action:?} deletes nothing, yet: {}",
            needless.map(ToString::to_string).unwrap_or_default()
        );
        Ok(end)
    }

    /// A look at how it goes on from now.
    pub fn followed<'a>(&'a self, course: &'a Course) -> Followed<'a> {
        let rollouts = Rollouts::watch(self.client, &self.namespace);
        Followed { walk: self, course, rollouts, replaced: Counts::new(), before: Snapshot::default() }
    }

    async fn reaches_end(&self, stage: &Stage, proxy: &Proxy) -> anyhow::Result<Snapshot> {
        let ledger = || {
            let text = proxy.ledger().to_string();
            let lines: Vec<_> = text.lines().filter(|line| !line.contains("leases")).collect();
            format!("the last requests:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
        };
        let reached = until("all is as when nothing goes wrong", SETTLED, || async {
            if proxy.ledger().quiet_for() < QUIET {
                return Ok(None);
            }
            let now = Snapshot::take(self.client, self.kinds, &self.namespace).await?;
            let differences = now.differences(&stage.end);
            let first = &differences[..differences.len().min(LINES)];
            anyhow::ensure!(differences.is_empty(), "{} differences:\n{}", differences.len(), first.join("\n"));
            Ok(Some(now))
        });
        reached.await.with_context(ledger)
    }
}

/// A life whose actions are compared one after the other with those of an undisturbed one.
pub struct Followed<'a> {
    walk: &'a Walk<'a>,
    course: &'a Course,
    rollouts: Rollouts,
    /// How often pods had been replaced before the action that is under way.
    replaced: Counts,
    /// What was there before it.
    before: Snapshot,
}

impl Followed<'_> {
    /// Waits until pods are replaced where they are in `action` of the course.
    pub async fn replaced(&self, action: Action) -> anyhow::Result<()> {
        replaced_as_in(self.stage(action)?, &self.rollouts, &self.replaced).await
    }

    /// Waits until everything is as after `action` in the course, with none of the operators behind `proxies` at work, and looks
    /// that nothing was made anew and no pods were replaced on the way there without need.
    pub async fn reaches(&mut self, action: Action, proxies: &[&Proxy]) -> anyhow::Result<()> {
        let before = self.replaced.clone();
        self.comes_to(action, proxies).await?;
        let (replaced, expected) = (self.rollouts.since(&before), &self.stage(action)?.rollouts);
        is_not_more(&replaced, expected).with_context(|| format!("pods are replaced without need in {action:?}"))
    }

    /// The same, but pods may be replaced more often: what was written before lands once more.
    pub async fn comes_to(&mut self, action: Action, proxies: &[&Proxy]) -> anyhow::Result<()> {
        self.replaced(action).await?;
        let end = self.end(action, proxies).await?;
        (self.before, self.replaced) = (end, self.rollouts.counts());
        Ok(())
    }

    /// Waits until everything is as it was found after `action`, although something else was written since. Of what pods read a
    /// course says nothing, so hashes are compared with those of that time.
    pub async fn comes_back_to(&mut self, action: Action, proxies: &[&Proxy]) -> anyhow::Result<()> {
        until("pods read what they have to", SETTLED, || async {
            let now = Snapshot::take(self.walk.client, self.walk.kinds, &self.walk.namespace).await?;
            let changed = now.changed_hashes(&self.before);
            anyhow::ensure!(changed.is_empty(), "{}", changed.join("\n"));
            Ok(Some(()))
        })
        .await?;
        self.end(action, proxies).await?;
        self.replaced = self.rollouts.counts();
        Ok(())
    }

    async fn end(&self, action: Action, proxies: &[&Proxy]) -> anyhow::Result<Snapshot> {
        let (stage, mut end) = (self.stage(action)?, Snapshot::default());
        for proxy in proxies {
            end = self.walk.reaches_end(stage, proxy).await?;
        }
        let anew = end.made_anew(&self.before);
        anyhow::ensure!(anew.is_empty(), "made anew without need in {action:?}: {}", anew.join(" "));
        Ok(end)
    }

    fn stage(&self, action: Action) -> anyhow::Result<&Stage> {
        self.course.stages.get(&action).context("not in the course")
    }
}

/// Waits until pods are replaced where they are in the course: of a new password nothing else can be seen here.
async fn replaced_as_in(stage: &Stage, rollouts: &Rollouts, before: &Counts) -> anyhow::Result<()> {
    until("pods are replaced where they have to be", SETTLED, || async {
        Ok(is_not_more(&stage.rollouts, &rollouts.since(before)).is_ok().then_some(()))
    })
    .await
}

fn is_not_more(replaced: &Counts, expected: &Counts) -> anyhow::Result<()> {
    let more = |(key, count): &(&String, &usize)| *count > expected.get(*key).unwrap_or(&0);
    let more: Vec<_> = replaced.iter().filter(more).map(|(key, count)| format!("{key} ({count} times)")).collect();
    anyhow::ensure!(more.is_empty(), "more than expected: {}", more.join(" "));
    Ok(())
}

fn has_happened(cell: &Cell, proxy: &Proxy) -> bool {
    proxy.happened().iter().any(|(target, fault)| {
        let target = Target { namespace: String::new(), ..target.clone() };
        target == cell.on && *fault == cell.fault
    })
}
