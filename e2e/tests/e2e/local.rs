//! A platform without Kubernetes, exactly as the folder that `render --local` writes says.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context;
use serde_json::json;
use todo_e2e::{
    cluster::{Cluster, Docker, Settings, Tool},
    command::Command,
    harness::{
        http::Http,
        standalone::{RunFile, Standalone},
        until,
    },
    images,
    progress::Progress,
};

use crate::shared::{add_task, tasks};

const PLATFORM: &str = "apiVersion: todoplatform.dev/v1alpha1\nkind: TodoPlatform\nmetadata: {name: todo}\nspec: {}\n";
/// What stands last in the README, and is done by [`Standalone`].
const RUN: &str = "env $(cat app.env) dapr run -f .";
/// Of Kafka and PostgreSQL.
const BACKING_PORTS: [u16; 2] = [9092, 5432];
const PAGE_PORT: u16 = 8080;
const USER: &str = "laptop";

#[tokio::test]
async fn a_rendered_folder_runs_without_kubernetes() {
    let settings = Settings::from_env().unwrap();
    let cluster = Cluster::running(&settings).await.expect("`cargo xtask up` has built what is needed");
    // Where Dapr's images are pulled, its programs are not there yet.
    cluster.tools().ensure(&[Tool::Dapr], &Progress::new(settings.cache())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rendered = folder.path().join("local");
    render(&settings, folder.path(), &rendered).await.unwrap();
    let run = RunFile::read(&rendered).unwrap();
    run.require_free_ports(&BACKING_PORTS).unwrap();

    let (commands, _containers) = Containers::of_readme(cluster.docker().unwrap(), &rendered).unwrap();
    for command in commands {
        command.run().await.unwrap();
    }
    let variables = variables(&rendered.join("app.env")).unwrap();
    let programs = images::programs(&settings);
    let mut standalone = Standalone::start(cluster.tools(), &run, &variables, &programs, folder.path()).unwrap();
    let result = async {
        standalone.healthy().await?;
        a_daily_task_comes_again(&Http::local(PAGE_PORT)?).await
    };
    if let Err(error) = result.await {
        eprintln!("{}", standalone.dump());
        panic!("{error:?}");
    }
}

async fn render(settings: &Settings, folder: &Path, rendered: &Path) -> anyhow::Result<()> {
    let platform = folder.join("platform.yaml");
    std::fs::write(&platform, PLATFORM)?;
    let render = Command::new(images::programs(settings).join("todo-operator")).arg("render").arg("-f").arg(platform);
    render.arg("--local").arg(rendered).arg("--web-root").arg(images::page()).run().await?;
    Ok(())
}

/// The page is there, a task comes to the backend and is listed, and its completion becomes an event that the
/// recurring-task service answers with the next occurrence.
async fn a_daily_task_comes_again(page: &Http) -> anyhow::Result<()> {
    let index = page.get("/").await?.expect(200)?;
    anyhow::ensure!(index.text.contains("<html"), "no page: {}", index.text);
    let limit = Duration::from_mins(1);
    let listed = async || tasks(page, USER).await;
    until("the backend answers through both sidecars", limit, async || Ok(Some(listed().await?))).await?;

    let due = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 3600)?;
    let task = json!({
        "user_id": USER,
        "title": "water the plants",
        "due_at": due.to_string(),
        "recurrence": {"rrule": "FREQ=DAILY"},
    });
    let task = add_task(page, task).await?;
    anyhow::ensure!(listed().await?.iter().any(|one| one["id"] == task["id"]), "the task is not listed");
    let complete = format!("/api/tasks/{}/complete?user_id={USER}", task["id"].as_str().unwrap_or_default());
    page.post(&complete, &json!({})).await?.expect(200)?;
    let next = until("the next occurrence is there", limit, async || {
        Ok(listed().await?.into_iter().find(|one| one["status"] == "open"))
    });
    let next = next.await?;
    anyhow::ensure!(next["series_id"] == task["series_id"] && next["id"] != task["id"], "another task: {next}");
    Ok(())
}

/// As `env $(cat app.env)` has it.
fn variables(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file)?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Containers that go when it is dropped.
struct Containers {
    docker: Docker,
    names: Vec<String>,
}

impl Containers {
    /// The commands of the README that come before `dapr run`, with names that nobody else has.
    fn of_readme(docker: &Docker, rendered: &Path) -> anyhow::Result<(Vec<Command>, Self)> {
        let readme = std::fs::read_to_string(rendered.join("README.md"))?;
        let mut lines: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        let last = lines.pop().context("the README has no commands")?;
        anyhow::ensure!(last == RUN, "the README ends with `{last}`");
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let mut names = Vec::new();
        let mut commands = Vec::new();
        for line in lines {
            let mut line = line.to_owned();
            for name in ["todo-kafka", "todo-postgres"] {
                let own = format!("{name}-{suffix}");
                if line.contains(name) && !names.contains(&own) {
                    names.push(own.clone());
                }
                line = line.replace(name, &own);
            }
            let command = docker.with_host(Command::new("sh")).arg("-c").arg(line).limit(Duration::from_mins(3));
            commands.push(command);
        }
        Ok((commands, Self { docker: docker.clone(), names }))
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let mut remove = std::process::Command::new("docker");
        remove.args(["rm", "--force", "--volumes"]).args(&self.names);
        remove.envs(self.docker.host().map(|host| ("DOCKER_HOST", host)));
        // None may be there.
        let _ = remove.output();
    }
}
