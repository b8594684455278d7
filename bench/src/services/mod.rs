//! `cargo xtask bench services`: the backend beside a `FastAPI` peer on the same PostgreSQL, each with a sidecar, in one
//! run and by turns; then reads at a fixed rate through one sidecar and two; then the way from a commit to its effect.

mod effect;
mod load;
mod peer;
mod process;

use std::{path::PathBuf, time::Duration};

use load::{Figures, Request};
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
const BACKEND_SIDECAR: u16 = 3510;
const FRONTEND_SIDECAR: u16 = 3513;
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
        if let Some(oha) = oha {
            let length = Duration::from_secs(arguments.seconds);
            Bench { oha, platform: &platform, pool: &pool, length }.all(&backend, arguments.turns).await?;
        }
        let effect = effect::measure(&backend, &pool, USER).await?;
        println!("\nFrom the commit of a completion to that of its next occurrence, {effect}");
        Ok(())
    };
    let result = result.await;
    if result.is_err() {
        eprintln!("{}", platform.dump());
    }
    result
}

struct Bench<'a> {
    oha: PathBuf,
    platform: &'a LocalPlatform,
    pool: &'a PgPool,
    length: Duration,
}

/// One side of a comparison.
struct Side {
    process: u32,
    request: Request,
    /// Of each turn: what `oha` saw, and milliseconds of CPU time for a request.
    turns: Vec<(Figures, f64)>,
}

impl Bench<'_> {
    async fn all(&self, backend: &Http, turns: usize) -> anyhow::Result<()> {
        let peer = Http::local(peer::PORT)?;
        sqlx::query("CREATE TABLE peer_tasks (LIKE tasks INCLUDING ALL)").execute(self.pool).await?;
        until("the peer answers", LIMIT, async || Ok(Some(peer.get("/livez").await?.expect(200)?))).await?;
        self.memory("idle")?;
        let (ours, theirs) = (fill(backend).await?, fill(&peer).await?);

        println!("\nAlone, each without a sidecar before it; medians of {turns} turns by turns of {:?}:", self.length);
        println!("| what | requests/s | peer | ratio | CPU ms/request | peer | ratio | p99 ms | peer |");
        println!("|---|---|---|---|---|---|---|---|---|");
        let task =
            json!({"user_id": USER, "title": "water the plants", "tags": ["home"], "priority": "high"}).to_string();
        for (what, ours, theirs, body) in [
            ("read one task", one(&ours), one(&theirs), None),
            ("list 50 tasks", list(), list(), None),
            ("create a task", "/api/tasks".to_owned(), "/api/tasks".to_owned(), Some(task)),
        ] {
            let mut backend = self.side(BACKEND, backend, &ours, body.clone())?;
            let mut peer = self.side(peer::ID, &peer, &theirs, body)?;
            for _ in 0..turns {
                self.turn(&mut backend).await?;
                self.turn(&mut peer).await?;
            }
            println!("{}", row(what, &backend, &peer));
        }
        self.memory("after load")?;

        println!("\nReads of one task at {FIXED_RATE} requests/s:\n| way | p50 ms | p99 ms |\n|---|---|---|");
        for (way, port, path) in [
            ("no sidecar", BACKEND_PORT, one(&ours)),
            ("its own sidecar", BACKEND_SIDECAR, format!("/v1.0/invoke/{BACKEND}/method{}", one(&ours))),
            (
                "the frontend's sidecar and its own",
                FRONTEND_SIDECAR,
                format!("/v1.0/invoke/{BACKEND}/method{}", one(&ours)),
            ),
        ] {
            let request = Request { url: Http::local(port)?.url(&path), body: None };
            let figures = load::run(&self.oha, &request, Some(FIXED_RATE), self.length).await?;
            println!("| {way} | {:.2} | {:.2} |", figures.p50, figures.p99);
        }
        Ok(())
    }

    fn side(&self, app: &str, http: &Http, path: &str, body: Option<String>) -> anyhow::Result<Side> {
        let request = Request { url: http.url(path), body };
        Ok(Side { process: self.platform.process(app)?, request, turns: Vec::new() })
    }

    async fn turn(&self, side: &mut Side) -> anyhow::Result<()> {
        let before = process::cpu(side.process)?;
        let figures = load::run(&self.oha, &side.request, None, self.length).await?;
        let used = process::cpu(side.process)? - before;
        side.turns.push((figures, used * 1000.0 / (figures.rate * self.length.as_secs_f64())));
        Ok(())
    }

    fn memory(&self, when: &str) -> anyhow::Result<()> {
        let mut parts = Vec::new();
        for app in [BACKEND, "notification-service", "recurring-task-service", "frontend-service", peer::ID] {
            parts.push(format!("{app} {:.1}", process::memory(self.platform.process(app)?)?));
        }
        println!("\nMemory in MiB, {when}: {}", parts.join(", "));
        Ok(())
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

fn row(what: &str, ours: &Side, theirs: &Side) -> String {
    let of = |side: &Side, figure: fn(&(Figures, f64)) -> f64| median(side.turns.iter().map(figure).collect());
    let (rate, peer_rate) = (of(ours, |turn| turn.0.rate), of(theirs, |turn| turn.0.rate));
    let (cpu, peer_cpu) = (of(ours, |turn| turn.1), of(theirs, |turn| turn.1));
    let (p99, peer_p99) = (of(ours, |turn| turn.0.p99), of(theirs, |turn| turn.0.p99));
    format!(
        "| {what} | {rate:.0} | {peer_rate:.0} | {:.1} | {cpu:.3} | {peer_cpu:.3} | {:.1} | {p99:.1} | {peer_p99:.1} |",
        rate / peer_rate,
        peer_cpu / cpu,
    )
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
