//! `cargo xtask bench isolation`: how soon the specs of platforms are followed while something else is wrong, against the same
//! platforms before and after it, in the same run.

use std::{fmt, time::Duration};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use todo_e2e::{
    faults::{Ground, Operator, Options, SETTLED},
    harness::until,
    proxy::{Fault, Proxy, Rule, Target},
};

use tokio::task::JoinSet;

use crate::latency::{self, Latencies};

/// Where something goes wrong.
const ELSEWHERE: &str = "isolation-elsewhere";
/// Where passes panic; the program below has the name, too.
const PANICKING: &str = "isolation-panicking";
/// An operator whose passes panic there.
const PROGRAM: &str = "panicking-operator";
/// What such a pass says.
const PANICKED: &str = "as the bench wants it";
/// How often something sets off a pass there.
const SET_OFF: Duration = Duration::from_secs(1);
/// How often all is listed anew, in seconds: so soon is it noticed that a kind may not be watched.
const RELIST: u32 = 10;
/// Longer than anything else takes.
const STUCK: Duration = Duration::from_mins(10);
/// Platforms that are made at the same time.
const TOGETHER: usize = 8;
/// Lines of the operator's log that an error shows.
const LINES: usize = 12;

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Platforms with which nothing is wrong.
    #[arg(long, default_value_t = 20)]
    platforms: usize,
    /// How often each platform's spec is changed and changed back, for each thing that goes wrong and around it.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What goes wrong.
#[derive(Clone, Copy)]
enum Wrong {
    /// A platform that the operator cannot read.
    Unreadable,
    /// A kind that it may not list or watch.
    Forbidden,
    /// A platform whose writes are not answered, so that its passes run into their deadline.
    Stuck,
    /// A platform over which each pass panics.
    Panicking,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "with a platform that cannot be read",
            Self::Forbidden => "with a kind that may not be watched",
            Self::Stuck => "with a platform whose writes hang",
            Self::Panicking => "with a platform whose passes panic",
        })
    }
}

/// All that is measured with.
struct Bench<'a> {
    ground: &'a Ground,
    proxy: &'a Proxy,
    operator: &'a Operator,
    namespaces: Vec<String>,
    rounds: usize,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    let mut proxy = ground.proxy().await?;
    let options = Options { relist: Some(RELIST), program: Some(PROGRAM), ..Options::default() };
    let operator = Operator::start_with(&mut proxy, ground.folder.path(), None, "bench-isolation", options)?;
    let namespaces: Vec<_> = (0..arguments.platforms).map(|number| format!("isolation-{number:04}")).collect();
    let (ground, proxy, operator) = (&ground, &proxy, &operator);
    let bench = Bench { ground, proxy, operator, namespaces, rounds: arguments.rounds };
    let measured = bench.run().await;
    measured.with_context(|| format!("the operator says:\n{}", operator.last_words(LINES)))
}

impl Bench<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        for namespace in [ELSEWHERE, PANICKING] {
            self.ground.plane.namespace(namespace).await?;
        }
        let make = stream::iter(&self.namespaces).map(|namespace| self.make(namespace));
        make.buffer_unordered(TOGETHER).try_collect::<Vec<()>>().await?;
        self.warm_up().await?;
        let mut before = self.measure().await?;
        for wrong in [Wrong::Unreadable, Wrong::Forbidden, Wrong::Stuck, Wrong::Panicking] {
            self.begin(wrong).await?;
            let _set_off = matches!(wrong, Wrong::Panicking).then(|| self.set_off());
            // What it takes to make it, a change of the schema among it, is no part of what it does.
            self.warm_up().await?;
            let panics = self.operator.lines_with(PANICKED);
            let during = self.measure().await?;
            let panics = self.operator.lines_with(PANICKED) - panics;
            self.end().await?;
            anyhow::ensure!((panics > 0) == matches!(wrong, Wrong::Panicking), "{panics} passes panicked {wrong}");
            anyhow::ensure!(self.operator.restarts() == 0, "the operator ended {wrong}");
            self.warm_up().await?;
            let after = self.measure().await?;
            let without = before.and(after);
            println!("{wrong}: {during}; without: {without}; {}", ratio(&during, &without));
            before = self.measure().await?;
        }
        Ok(())
    }

    async fn make(&self, namespace: &str) -> anyhow::Result<()> {
        self.ground.plane.namespace(namespace).await?;
        Ground::make_platform(&self.ground.client, namespace).await?;
        self.ground.created(self.proxy, namespace).await?;
        Ok(())
    }

    /// Each platform wants more pods, then as few as before, and so on.
    async fn measure(&self) -> anyhow::Result<Latencies> {
        let mut all = Latencies::default();
        for replicas in [latency::OTHER, latency::USUAL].repeat(self.rounds) {
            all = all.and(latency::of_changes(self.ground, &self.namespaces, replicas).await?);
        }
        Ok(all)
    }

    /// One change that does not count, and back.
    async fn warm_up(&self) -> anyhow::Result<()> {
        for replicas in [latency::OTHER, latency::USUAL] {
            latency::of_changes(self.ground, &self.namespaces, replicas).await?;
        }
        Ok(())
    }

    /// Has something go wrong, and waits until the operator has met it.
    async fn begin(&self, wrong: Wrong) -> anyhow::Result<()> {
        match wrong {
            Wrong::Unreadable => {
                self.ground.poison(ELSEWHERE).await?;
                return until("it is told that it cannot be read", SETTLED, || async {
                    let platform = Ground::platforms(&self.ground.client, ELSEWHERE).get("todo").await?;
                    Ok(platform.data["status"]["conditions"].is_array().then_some(()))
                })
                .await;
            }
            Wrong::Forbidden => {
                let of_ingresses = |verb| Target { verb, resource: "ingresses".to_owned(), ..Target::default() };
                let refused = ["list", "watch"].map(|verb| Rule::always(of_ingresses(verb), Fault::Refuse(403)));
                self.proxy.set(refused.to_vec());
            }
            Wrong::Stuck => {
                let writes = Target { verb: "patch", namespace: ELSEWHERE.to_owned(), ..Target::default() };
                self.proxy.set(vec![Rule::always(writes, Fault::Delay(STUCK))]);
                Ground::make_platform(&self.ground.client, ELSEWHERE).await?;
            }
            Wrong::Panicking => {
                Ground::make_platform(&self.ground.client, PANICKING).await?;
                return until("a pass panics", SETTLED, || async {
                    Ok((self.operator.lines_with(PANICKED) > 0).then_some(()))
                })
                .await;
            }
        }
        until("it goes wrong", SETTLED, || async { Ok((!self.proxy.happened().is_empty()).then_some(())) }).await
    }

    async fn end(&self) -> anyhow::Result<()> {
        self.proxy.set(Vec::new());
        for namespace in [ELSEWHERE, PANICKING] {
            let platforms = Ground::platforms(&self.ground.client, namespace);
            if platforms.get_opt("todo").await?.is_some() {
                platforms.delete("todo", &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    /// Sets off passes that panic, until it is dropped: by themselves they would come ever less often.
    fn set_off(&self) -> JoinSet<()> {
        let platforms = Ground::platforms(&self.ground.client, PANICKING);
        let mut task = JoinSet::new();
        task.spawn(async move {
            for number in 0_u64.. {
                let mark = json!({"metadata": {"annotations": {"example.com/number": number.to_string()}}});
                // It is gone when all is over.
                let _ = platforms.patch("todo", &PatchParams::default(), &Patch::Merge(mark)).await;
                tokio::time::sleep(SET_OFF).await;
            }
        });
        task
    }
}

fn ratio(during: &Latencies, without: &Latencies) -> String {
    let of = |percent| during.percentile(percent).as_secs_f64() / without.percentile(percent).as_secs_f64();
    format!("p50 {:.2} times, p99 {:.2} times", of(50), of(99))
}
