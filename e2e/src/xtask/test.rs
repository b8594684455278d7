//! `cargo xtask test`: the tests, from quick ones to those on the real cluster.

use std::process::Stdio;

use clap::ValueEnum;
use todo_e2e::{
    cargo_tool,
    cluster::{
        Cluster, Images, Requirements, Settings, Tool, Tools,
        requirements::{From, GO, MAKE},
    },
    command::of_own_package,
    harness::{self, Namespace, Python, database::Database},
    progress::Progress,
    rights::{self, Release},
};

use super::{generate, operator, root, up};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which kinds; all if none is named.
    #[arg(value_enum)]
    kinds: Vec<Kind>,
    /// Only tests whose names contain this.
    #[arg(long)]
    filter: Option<String>,
    /// Answers every question with yes.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Kind {
    /// Format, clippy, licences, advisories, generated files, chart.
    Lint,
    /// Everything that needs no cluster; PostgreSQL is real.
    Unit,
    /// The web page's types.
    Web,
    /// What an API server alone can show.
    Apiserver,
    /// The operator while things go wrong, on an API server of its own.
    Faults,
    /// Whole systems on the cluster.
    E2e,
}

const PYTHON: (&str, &str, From) =
    ("python3", "runs what others wrote: an MCP client, judges of notifications", From::Debian("python3-venv"));
/// What the scenarios use besides.
const PROGRAMS: [(&str, &str, From); 4] = [
    ("chromium", "the page is tested in a real browser", From::Debian("chromium")),
    ("chromedriver", "drives the browser", From::Debian("chromium-driver")),
    PYTHON,
    ("openssl", "looks at the sidecars' certificates", From::Debian("openssl")),
];

pub(super) async fn run(arguments: &Arguments, settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    let mut kinds = if arguments.kinds.is_empty() { Kind::value_variants().to_vec() } else { arguments.kinds.clone() };
    kinds.sort();
    kinds.dedup();
    let filter = arguments.filter.as_deref();
    require(&kinds, arguments.yes, settings, progress).await?;
    let mut cluster = None;
    for kind in kinds {
        match kind {
            Kind::Lint => lint(settings, progress).await?,
            Kind::Unit => unit(filter, settings, progress).await?,
            Kind::Web => web().await?,
            Kind::Faults => faults(filter, settings, progress).await?,
            Kind::Apiserver | Kind::E2e => {
                let cluster = match &cluster {
                    Some(cluster) => cluster,
                    None => cluster.insert(up::own(Images::Auto, arguments.yes, settings, progress).await?),
                };
                let target = if kind == Kind::E2e { "e2e" } else { "apiserver" };
                scenarios(cluster, target, filter, progress).await?;
            }
        }
    }
    Ok(())
}

/// Asks for what all of them need before the first begins.
async fn require(kinds: &[Kind], yes: bool, settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    let has = |wanted: &[Kind]| kinds.iter().any(|kind| wanted.contains(kind));
    let mut needed = if has(&[Kind::Unit, Kind::Apiserver, Kind::Faults, Kind::E2e]) {
        Requirements::of_cluster(up::choose(Images::Auto, yes, settings, progress).await?).await
    } else {
        Requirements::none()
    };
    if has(&[Kind::Lint]) {
        needed = needed.and(&[MAKE]);
        if !Tools::new(settings).helm().exists() {
            needed = needed.and(&[GO]);
        }
    }
    if has(&[Kind::Unit]) {
        needed = needed.and(&[PYTHON]);
    }
    if has(&[Kind::Web, Kind::Apiserver, Kind::E2e]) {
        needed = needed.and(&up::PROGRAMS);
    }
    if has(&[Kind::Apiserver, Kind::E2e]) {
        needed = needed.and(&PROGRAMS);
    }
    up::require(needed, yes, progress).await
}

async fn lint(settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    let tools = Tools::new(settings);
    tools.ensure(&[Tool::Helm], progress).await?;
    call(cargo(&["fmt", "--all", "--check"])).await?;
    // The second time those that a plain `cargo test` leaves out.
    for targets in [&["--all-targets"][..], &["--test", "*"]] {
        let mut clippy = cargo(&["clippy", "--workspace", "--locked"]);
        clippy.args(targets).args(["--", "-D", "warnings"]);
        call(clippy).await?;
    }
    generate::run(true).await?;
    call(program(tools.helm(), &["lint", "--strict", "helm/todo-operator"])).await?;
    let deny = cargo_tool::installed(settings, "cargo-deny", DENY).await?;
    call(program(deny.clone(), &["--locked", "check", "licenses", "bans", "sources"])).await?;
    if let Err(error) = call(program(deny.clone(), &["--locked", "fetch", "db"])).await {
        progress.note(&format!("advisories are not checked, as their database cannot be had: {error:#}"));
        return Ok(());
    }
    call(program(deny, &["--locked", "check", "advisories"])).await
}

const DENY: &str = "0.20.2";

async fn unit(filter: Option<&str>, settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    let engine = Cluster::engine(settings, Images::Auto, progress).await?;
    let python = Python::judges(settings).await?;
    let database = Database::start(&engine, progress).await?;
    let mut unit = tests(&[]);
    unit.args(filter);
    unit.env("TEST_DATABASE_URL", database.url()).env("TEST_PYTHON", python.program());
    let result = call(unit).await;
    database.stop().await?;
    result
}

async fn web() -> anyhow::Result<()> {
    for arguments in [&["ci", "--no-audit", "--no-fund"][..], &["run", "check"], &["run", "build"]] {
        let mut npm = tokio::process::Command::new("npm");
        npm.args(arguments).current_dir(root().join("services/frontend/web"));
        call(npm).await?;
    }
    Ok(())
}

/// Scenarios that others must not see: one changes the operator's own release, and one takes all that the cluster has.
const ALONE: [&str; 2] = [
    "release::one_namespace_can_have_an_operator_of_its_own_beside_the_one_of_the_cluster",
    "chaos::nothing_is_lost_and_nothing_happens_twice_whatever_part_fails",
];

/// Scenarios on the cluster, with the operator of this checkout on it, and what rights it used for them.
async fn scenarios(cluster: &Cluster, target: &str, filter: Option<&str>, progress: &Progress) -> anyhow::Result<()> {
    let begun = jiff::Timestamp::now();
    progress.expect(1);
    operator::ensure(cluster, progress).await?;
    let client = harness::client(cluster.kubeconfig()).await?;
    // What a run before left would only take memory.
    Namespace::delete_all(&client).await?;
    let scenarios = || {
        let mut scenarios = tests(&["--test", target, "--"]);
        // A scenario that fails says why itself, and what its namespace looks like.
        scenarios.env("RUST_BACKTRACE", "0");
        scenarios
    };
    let mut together = scenarios();
    // As many as there are processors: a platform takes one while it starts. More starve each other's pods, which are then
    // restarted for their silence.
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).to_string();
    together.args(["--test-threads", &threads]).args(ALONE.iter().flat_map(|name| ["--skip", name])).args(filter);
    let mut result = call(together).await;
    Namespace::delete_all(&client).await?;
    if target != "e2e" {
        return result;
    }
    for name in ALONE.iter().filter(|name| filter.is_none_or(|filter| name.contains(filter))) {
        if result.is_ok() {
            let mut alone = scenarios();
            alone.args(["--exact", name]);
            result = call(alone).await;
            Namespace::delete_all(&client).await?;
        }
    }
    result?;
    let release = Release { namespace: operator::NAME, name: operator::NAME };
    progress.note(&rights::check(cluster, release, begun, filter.is_none()).await?);
    Ok(())
}

/// With the operator of this checkout, as a process.
async fn faults(filter: Option<&str>, settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    Tools::new(settings).ensure(&[Tool::Kubernetes, Tool::Etcd, Tool::Helm], progress).await?;
    call(cargo(&["build", "--workspace", "--locked", "--bin", "todo-operator", "--test", "faults"])).await?;
    // Each has a control plane, and most of them wait for most of the time. The largest has as many operators as two processors
    // bear, and waits until it is alone.
    let mut faults = tests(&["--test", "faults", "--"]);
    faults.args(["--nocapture", "--test-threads", "4"]).args(filter);
    call(faults).await
}

/// Always of the whole workspace: what is selected decides on the features of dependencies, and each set is compiled anew.
fn tests(arguments: &[&str]) -> tokio::process::Command {
    let mut tests = cargo(&["test", "--workspace", "--locked"]);
    tests.args(arguments);
    tests
}

fn cargo(arguments: &[&str]) -> tokio::process::Command {
    program("cargo".into(), arguments)
}

fn program(path: std::path::PathBuf, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(path);
    command.args(arguments).current_dir(root());
    for name in of_own_package() {
        command.env_remove(name);
    }
    command
}

/// Runs a command whose output is for the person.
async fn call(mut command: tokio::process::Command) -> anyhow::Result<()> {
    let words = std::iter::once(command.as_std().get_program()).chain(command.as_std().get_args());
    let text = words.map(std::ffi::OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    eprintln!("\n$ {text}");
    let status = command.stdin(Stdio::null()).kill_on_drop(true).status().await?;
    anyhow::ensure!(status.success(), "{text} failed ({status})");
    Ok(())
}
