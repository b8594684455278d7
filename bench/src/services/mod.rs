//! `cargo xtask bench services`: the backend beside a `FastAPI` peer on the same PostgreSQL, each with a sidecar, in one
//! run and by turns, without and through sidecars; then reads at a fixed rate; then the way from a commit to its effect.

mod compare;
mod effect;
mod goals;
mod load;
mod peer;
mod process;

use std::{path::PathBuf, time::Duration};

use compare::{App, Side, Way};
use goals::Seen;
use load::Request;
use process::Memory;
use serde_json::{Value, json};
use sqlx::PgPool;
use todo_e2e::{
    cargo_tool,
    cluster::{Cluster, Settings},
    harness::{LocalPlatform, http::Http, until},
};

const USER: &str = "bench";
const BACKEND: &str = "backend-service";
const BACKEND_PORT: u16 = 8000;
const OURS: App = App { id: BACKEND, port: BACKEND_PORT };
const THEIRS: App = App { id: peer::ID, port: peer::PORT };
/// Tasks that are there when reading begins.
const TASKS: usize = 200;
const FIXED_RATE: u32 = 1000;
/// Until a program answers.
const LIMIT: Duration = Duration::from_mins(1);

/// How long it takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Turns that each side takes.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Only the way from a commit to its effect, without the peer.
    #[arg(long)]
    effect_only: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let cluster = Cluster::running(&settings).await?;
    let rendered = LocalPlatform::render(&cluster).await?;
    let database = rendered.database()?;
    let oha = if arguments.effect_only {
        None
    } else {
        peer::add(&rendered.path(), &settings, &database).await?;
        Some(cargo_tool::installed(&settings, "oha", "1.16.0").await?)
    };
    let mut platform = rendered.start().await?;
    let result = async {
        platform.healthy().await?;
        let pool = PgPool::connect(&database).await?;
        let backend = Http::local(BACKEND_PORT)?;
        until("the backend lists tasks", LIMIT, async || Ok(Some(backend.get(&list()).await?.expect(200)?))).await?;
        let seen = match oha {
            Some(oha) => {
                let length = Duration::from_secs(arguments.seconds);
                Some(Bench { oha, platform: &platform, pool: &pool, length }.all(&backend, arguments.turns).await?)
            }
            None => None,
        };
        let effect = effect::measure(&backend, &pool, USER).await?;
        println!("\nFrom the moment of a completion to that of its next occurrence, as their rows have it, {effect}");
        Ok(seen.map(|seen| Seen { effect: effect.p99(), ..seen }))
    };
    let seen: anyhow::Result<Option<Seen>> = result.await;
    if seen.is_err() {
        eprintln!("{}", platform.dump());
    }
    let missed = seen?.map(|seen| seen.missed()).unwrap_or_default();
    anyhow::ensure!(missed.is_empty(), "{}", missed.join("; "));
    Ok(())
}

struct Bench<'a> {
    oha: PathBuf,
    platform: &'a LocalPlatform,
    pool: &'a PgPool,
    length: Duration,
}

impl Bench<'_> {
    async fn all(&self, backend: &Http, turns: usize) -> anyhow::Result<Seen> {
        let peer = Http::local(peer::PORT)?;
        sqlx::query("CREATE TABLE peer_tasks (LIKE tasks INCLUDING ALL)").execute(self.pool).await?;
        self.open().await?;
        let idle = self.memory("idle")?.now;
        let mut creations = f64::INFINITY;
        let (ours, theirs) = (fill(backend).await?, fill(&peer).await?);

        println!(
            "\nEach by the same ways; medians of {turns} turns by turns of {:?}. What is published later is in the CPU time:",
            self.length
        );
        println!("{}", compare::HEAD);
        let task =
            json!({"user_id": USER, "title": "water the plants", "tags": ["home"], "priority": "high"}).to_string();
        for (what, ours, theirs, body) in [
            ("read one task", one(&ours), one(&theirs), None),
            ("list 50 tasks", list(), list(), None),
            ("create a task", "/api/tasks".to_owned(), "/api/tasks".to_owned(), Some(task)),
        ] {
            for way in Way::ALL {
                let mut backend = self.side(&OURS, way, &ours, body.as_ref())?;
                let mut peer = self.side(&THEIRS, way, &theirs, body.as_ref())?;
                for _ in 0..turns {
                    for side in [&mut backend, &mut peer] {
                        // Neither side's events are still under way when the other one's turn begins.
                        side.turn(&self.oha, self.length, async || effect::all_handled(self.pool, USER).await).await?;
                    }
                }
                println!("{}", compare::row(what, way, &backend, &peer));
                if body.is_some() {
                    creations = creations.min(compare::ratio(&backend, &peer));
                }
            }
        }
        let loaded = self.memory("after load")?.most;
        let mut read = f64::NAN;

        println!("\nReads of one task at {FIXED_RATE} requests/s:\n| way | p50 ms | p99 ms |\n|---|---|---|");
        for way in Way::ALL {
            let request = Request { url: way.url(self.platform, &OURS, &one(&ours))?, body: None };
            let figures = load::run(&self.oha, &request, Some(FIXED_RATE), self.length).await?;
            println!("| {} | {:.2} | {:.2} |", way.words(), figures.p50, figures.p99);
            if way == Way::OwnSidecar {
                read = figures.p99;
            }
        }
        Ok(Seen { idle, loaded, creations, read, effect: f64::NAN })
    }

    fn side(&self, app: &App, way: Way, path: &str, body: Option<&String>) -> anyhow::Result<Side> {
        let request = Request { url: way.url(self.platform, app, path)?, body: body.cloned() };
        Side::new(self.platform, app, request)
    }

    /// Waits until tasks are listed by every way: sidecars have to find each other first.
    async fn open(&self) -> anyhow::Result<()> {
        for (app, way) in [OURS, THEIRS].iter().flat_map(|app| Way::ALL.map(|way| (app, way))) {
            let list = Http::at(&way.url(self.platform, app, &list())?)?;
            let what = format!("{} answers through {}", app.id, way.words());
            until(&what, LIMIT, async || Ok(Some(list.get("").await?.expect(200)?))).await?;
        }
        Ok(())
    }

    /// Prints each program's memory, and gives the most that any of the services has.
    fn memory(&self, when: &str) -> anyhow::Result<Memory> {
        let mut parts = Vec::new();
        let mut largest = Memory { now: 0.0, most: 0.0 };
        for app in [BACKEND, "notification-service", "recurring-task-service", "frontend-service", peer::ID] {
            let Memory { now, most } = process::memory(self.platform.process(app)?)?;
            parts.push(format!("{app} {now:.1} ({most:.1})"));
            if app != peer::ID {
                largest = Memory { now: largest.now.max(now), most: largest.most.max(most) };
            }
        }
        println!("\nMemory in MiB, {when} (and the most until then): {}", parts.join(", "));
        Ok(largest)
    }
}

/// Makes tasks to read, and answers one.
async fn fill(http: &Http) -> anyhow::Result<Value> {
    let mut task = Value::Null;
    for number in 0..TASKS {
        let due = format!("2031-01-01T{:02}:00:00Z", number % 24);
        let body =
            json!({"user_id": USER, "title": format!("task {number}"), "due_at": due, "tags": ["home", "bench"]});
        task = http.post("/api/tasks", &body).await?.expect(201)?.json();
    }
    Ok(task)
}

fn one(task: &Value) -> String {
    format!("/api/tasks/{}?user_id={USER}", task["id"].as_str().unwrap_or_default())
}

fn list() -> String {
    format!("/api/tasks?user_id={USER}&limit=50")
}
